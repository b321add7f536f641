"""Whatever stands in a text or a name, no page of ours executes it."""

import numpy as np
import pytest
from browser import dom_of
from browser import unprotected

from keras_irl.escaping import visible
from keras_irl.reporting import write_report
from keras_irl.rewards import TextRewards
from keras_irl.rewards import heat_map

RUN = "document.title='owned';document.body.append('owned')"
HOSTILE = [
    f"<script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"</title><script>{RUN}</script>",
    f"--><script>{RUN}</script>",
    f"\x00<script>{RUN}</script>",
    f"<scr\x00ipt>{RUN}</script>",
    f'"><img src=x onerror="{RUN}">',
    f"'><img src=x onerror={RUN}>",
    f'" onmouseover="{RUN}" autofocus onfocus="{RUN}" tabindex="1" x="',
    f"<svg onload={RUN}>",
    f'<iframe srcdoc="<script>parent.{RUN}</script>">',
    f'<a href="javascript:{RUN}">click</a>',
    f"javascript:{RUN}",
    f"<style>@import 'javascript:{RUN}'</style>",
    '<meta http-equiv="refresh" content="0;url=https://example.org">',
    '<base href="https://example.org/">',
    "<plaintext>",
    "<!--",
    "<template>",
    "&lt;script&gt; &#60;b&#62; &amp",
    "\u202egnp.exe\u2066",
    "\ud800 caf\udce9",
    "\x1b[31m\x7f\x85\u2028",
    "${RUN} {{7*7}} {% x %}",
    "",
]
TAGS = set(
    "html head meta title style body h1 h2 ul li p div table thead tbody tr th "
    "td img section span br bdi a script button".split()
)


def report_of(folder):
    rows = [
        {
            "temperature": temperature,
            "metrics": dict.fromkeys(HOSTILE, 40.0),
            "self_bleu": 60.0 * temperature or None,
        }
        for temperature in (0.0, 0.5, 1.0)
    ]
    samples = [
        {
            "prompt": text,
            "references": [text],
            "responses": [{"decoder": text, "texts": [text, text]}],
        }
        for text in HOSTILE
    ]
    run = {
        "rows": rows,
        "samples": samples,
        HOSTILE[0]: float("nan"),
        "history": {"step": [0, 1], "negative_log_likelihood": [2.0, 1.0]},
    }
    results = {
        "task": HOSTILE[0],
        "data": HOSTILE[2],
        "policy": HOSTILE[6],
        "metric": HOSTILE[1],
        "objectives": dict.fromkeys(HOSTILE, [run]),
    }
    write_report(
        results,
        folder,
        settings={text: text for text in HOSTILE},
        notes=dict.fromkeys(HOSTILE[:3], HOSTILE),
        conclusion=" ".join(HOSTILE),
    )


def heat_map_of(folder):
    size = len(HOSTILE)
    tokens = TextRewards(
        HOSTILE, np.linspace(-2, 2, size), np.ones(size), np.ones(size) + 1
    )
    heat_map(
        {HOSTILE[0]: [tokens] * size, HOSTILE[8]: [tokens] * size},
        folder,
        HOSTILE,
        quantities={HOSTILE[8]: "log_probs"},
        metrics={text: np.arange(size) % 2 for text in HOSTILE},
    )


def source_of(folder):
    (page,) = folder.glob("*.html")
    return page.read_text("utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The folders of a report and of a heat map, which take seconds to draw."""
    folders = {}
    for make in (report_of, heat_map_of):
        folders[make] = tmp_path_factory.mktemp(make.__name__)
        make(folders[make])
    return folders


def test_the_browser_executes_what_is_not_escaped(tmp_path):
    for text in (HOSTILE[0], HOSTILE[6], HOSTILE[9]):
        found = dom_of(f"<title>mine</title><body>{text}", tmp_path / "a.html")
        assert found.title == "owned", text


@pytest.mark.parametrize("make", [report_of, heat_map_of])
@pytest.mark.parametrize("protected", [True, False])
def test_nothing_executes(make, protected, pages, tmp_path):
    source = source_of(pages[make])
    # Without the policy against scripts, the escaping stands alone.
    page = source if protected else unprotected(source)
    found = dom_of(page, tmp_path / "page.html")
    assert set(found.tags) <= TAGS
    assert found.tags.count("meta") == (3 if protected else 2)
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        assert name not in ("srcdoc", "autofocus", "x")
        assert name != "href" or value.startswith("#text-")
        assert name != "src" or value.startswith("data:image/png;base64,")
    assert found.title not in ("owned", "") and "owned" not in found.texts
    shown = "".join(found.texts)
    for text in HOSTILE:
        assert visible(text) in shown, text


@pytest.mark.parametrize("make", [report_of, heat_map_of])
def test_no_character_steers_the_page(make, pages):
    source = source_of(pages[make])
    for character in "\x00\x1b\x7f\x85\u202e\u2066\u2028\ud800":
        assert character not in source
    for path in pages[make].iterdir():
        if path.suffix in (".md", ".txt", ".json"):
            text = path.read_text("utf-8")
            steering = "\x00\x1b\x7f\x85\u202e\u2066\u2028"
            # JSON escapes what it must, and keeps the names as they are.
            if path.suffix == ".json":
                steering = "\x00\x1b"
            assert not set(steering) & set(text), path.name
