import html.parser
import io
import os

import matplotlib.axes
import matplotlib.image
import numpy as np
import pytest

from keras_irl.escaping import visible
from keras_irl.reporting.heat_map_columns import color
from keras_irl.reporting.heat_map_columns import color_limit
from keras_irl.rewards import TextRewards
from keras_irl.rewards import heat_map

HOSTILE = [
    "<script>alert(1)</script>",
    "&amp;",
    '" onmouseover="alert(1)',
    "'><img src=x>",
    "\u202egnp.exe",
    "שלום",
    "\x00\x1b[31m",
    "\n",
    "\ud800",
    "",
    "$\\frac{$",
    "漢字",
    "</s>",
]


def text(tokens, rewards=None):
    rewards = np.linspace(-2, 2, len(tokens)) if rewards is None else rewards
    return TextRewards(list(tokens), rewards, rewards, np.ones(len(tokens)))


class Page(html.parser.HTMLParser):
    """Tags, attributes and texts as a browser reads them."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attr) for attr in attrs]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.filterwarnings("error")
def test_hostile_texts_are_shown_and_not_interpreted(tmp_path):
    paths = heat_map({"<b>": [text(HOSTILE)]}, tmp_path, ["<script>\u202e"])
    assert [path.name for path in paths] == ["heat_map.html", "heat_map.png"]
    page = Page(paths[0])
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "h2"}
    allowed |= {"p", "span", "table", "tr", "th", "td", "br", "bdi", "a"}
    assert set(page.tags) <= allowed
    names = {name for _, name, _ in page.attributes}
    assert names <= {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "style",
        "name",
        "class",
        "id",
        "href",
        "role",
        "tabindex",
        "aria-label",
    }
    shown = "".join(page.texts)
    for token in HOSTILE:
        assert visible(token) in shown
    assert "<script>alert(1)</script>" in shown
    source = paths[0].read_text("utf-8")
    assert "<script" not in source
    assert not any(c in source for c in "\u202e\x00\x1b")
    assert "http:" not in source and "src=" not in source.replace("src=x", "")


def test_what_is_not_seen_is_shown_by_its_code():
    assert visible("a b") == "a b"
    assert visible("\n\t\x00") == "␊␉␀"
    assert (
        visible("\x7f\u200f\u2066\u2028") == "⟨U+007F⟩⟨U+200F⟩⟨U+2066⟩⟨U+2028⟩"
    )
    assert visible("\ud800") == "⟨U+D800⟩"
    assert visible("") == "∅"


def test_two_policies_stand_side_by_side_on_one_scale(tmp_path):
    policies = {
        "iqlearn": [text("ab", np.array([4.0, -1.0]))] * 3,
        "mle": [text("ab", np.array([1.0, -1.0]))] * 3,
    }
    limit = color_limit(t.rewards for ts in policies.values() for t in ts)
    heat_map(policies, tmp_path, ["p", "q", "r"], max_texts=2, name="two")
    page = Page(tmp_path / "two.html")
    assert page.tags.count("table") == 2
    assert page.tags.count("td") == 4
    shown = "".join(page.texts)
    assert "2 of 3 texts" in shown
    assert "iqlearn: reward +3.00" in shown and "mle: reward +0.00" in shown
    styles = [value for _, name, value in page.attributes if name == "style"]
    # The legend's nine, then two tokens for each policy and text.
    assert len(styles) == 9 + 8
    assert styles[10] == styles[12]
    assert styles[11] == "background:{};color:{}".format(*color(1.0, limit))


def test_the_picture_has_the_colors_of_its_tokens(tmp_path):
    rewards = np.array([2.0, -2.0, 0.0])
    heat_map([text(["aa", "bb", "cc"], rewards)], tmp_path)
    data = (tmp_path / "heat_map.png").read_bytes()
    picture = matplotlib.image.imread(io.BytesIO(data))[..., :3]
    colors = np.unique((picture.reshape(-1, 3) * 255).round(), axis=0).tolist()
    assert [0x00, 0x72, 0xB2] in colors
    assert [0xD5, 0x5E, 0x00] in colors


def two_quantities():
    values = np.array([2.0, 2.0])
    rewards = np.array([40.0, -10.0])
    control = TextRewards(["a", "b"], rewards, values - [0.5, 1.0], values)
    policy = TextRewards(["a", "b"], np.array([3.0, -1.0]), values, values)
    return {"iqlearn": [policy] * 3, "mle": [control] * 3}


def test_a_control_shows_its_log_likelihoods_on_their_own_scale(tmp_path):
    policies = two_quantities()
    heat_map(policies, tmp_path, quantities={"mle": "log_probs"})
    page = Page(tmp_path / "heat_map.html")
    shown = "".join(page.texts)
    assert "iqlearn: reward +2.00, +1.00 per token" in shown
    # log π = Q - V: -0.5 and -1, whatever the rewards are.
    assert "mle: log-likelihood -1.50, -0.75 per token" in shown
    styles = [value for _, name, value in page.attributes if name == "style"]
    tokens = styles[18:]
    assert len(tokens) == 3 * 2 * 2
    limits = {"reward": 3.0, "log": 1.0}
    expected = [(3.0, "reward"), (-1.0, "reward"), (-0.5, "log"), (-1.0, "log")]
    for style, (number, quantity) in zip(tokens, expected, strict=False):
        ends = color(number, limits[quantity])
        assert style == "background:{};color:{}".format(*ends)
    legends = shown[: shown.index("Beyond the ends")]
    assert "-3.00" in legends and "+3.00 reward" in legends
    assert "-1.00" in legends and "+0.00 log-probability" in legends


def test_metrics_say_right_or_wrong_beside_each_text(tmp_path):
    metrics = {"exact_match": [100.0, 0.0, 0.0], "bleu": [1.5, 100.0, 0.0]}
    metrics["flag"] = np.array([True, False, True])
    heat_map(two_quantities(), tmp_path, ["p", "q", "r"], 2, metrics=metrics)
    shown = "\n".join(Page(tmp_path / "heat_map.html").texts)
    first = "p\n✓ right (exact match), bleu 1.50, ✓ right (flag)\n"
    second = "q\n✗ wrong (exact match), bleu 100.00, ✗ wrong (flag)\n"
    assert shown.index(first) < shown.index(second)
    assert shown.count("right (") == 2 and shown.count("wrong (") == 2
    # One sentence says what they come to, by what tells right from wrong.
    assert "; whole texts that are right by exact match have +" in shown
    assert "by bleu" not in shown


def test_the_numbers_of_every_token_are_reached_without_a_mouse(tmp_path):
    heat_map(two_quantities(), tmp_path)
    page = Page(tmp_path / "heat_map.html")
    spans = [(n, v) for tag, n, v in page.attributes if tag == "span"]
    assert spans.count(("tabindex", "0")) == 12
    assert spans.count(("role", "img")) == 12
    labels = [value for name, value in spans if name == "aria-label"]
    assert labels[:2] == [
        "reward +3.000, Q +2.000, V +2.000, log-probability +0.000, token a",
        "reward -1.000, Q +2.000, V +2.000, log-probability +0.000, token b",
    ]
    # What is focused is shown: the label stands at the foot of the window.
    source = (tmp_path / "heat_map.html").read_text("utf-8")
    rule = source[source.index(".tokens span:focus::after") :]
    assert rule[: rule.index("}")].count("content: attr(aria-label)") == 1
    # Whoever does not want each token goes on to the next text.
    links = [value for _, name, value in page.attributes if name == "href"]
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert links == ["#text-1", "#text-2", "#text-3"]
    assert {link[1:] for link in links} <= ids


def texts_of(monkeypatch):
    """What Matplotlib was asked to write."""
    written = []
    text = matplotlib.axes.Axes.text

    def record(axes, x, y, string, *args, **kwargs):
        written.append(string)
        return text(axes, x, y, string, *args, **kwargs)

    monkeypatch.setattr(matplotlib.axes.Axes, "text", record)
    return written


def test_the_picture_says_how_many_texts_it_shows(tmp_path, monkeypatch):
    written = texts_of(monkeypatch)
    texts = {name: found * 4 for name, found in two_quantities().items()}
    heat_map(
        texts,
        tmp_path,
        max_texts=8,
        quantities={"mle": "log_probs"},
        metrics={"right": [1] * 6 + [0] * 6},
    )
    assert written[0] == "The first 6 of 12 texts"
    assert written.count("✓ right (right)") == 6
    assert written.count("iqlearn: reward +2.00") == 6
    assert written.count("mle: log-likelihood -1.50") == 6
    written.clear()
    heat_map(texts, tmp_path, max_texts=np.int64(2))
    assert written[0] == "The first 2 of 12 texts"


def test_long_texts_are_cut_in_the_picture_alone(tmp_path):
    texts = [text(["word "] * 2000) for _ in range(3)]
    heat_map({"a" * 500: texts, "b": texts}, tmp_path, ["p" * 999] * 3)
    page = Page(tmp_path / "heat_map.html")
    assert page.texts.count("word ") == 2 * 3 * 2000
    data = (tmp_path / "heat_map.png").read_bytes()
    assert max(matplotlib.image.imread(io.BytesIO(data)).shape) < 3000


def test_nothing_is_half_written(tmp_path, monkeypatch):
    heat_map([text("ab")], tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        heat_map([text("cd")], tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("policies", "keywords", "message"),
    [
        ([], {}, r"at least one.*Received: policies\['policy'\]=\[\]"),
        ({}, {}, "Received: 0 policies"),
        (dict.fromkeys("abc", [text("a")]), {}, "Received: 3 policies"),
        ([1.0], {}, "list of `TextRewards`"),
        ({"a": [text("a")], "b": [text("a")] * 2}, {}, "1 of a, 2 of b"),
        ([text("a")], {"prompts": []}, "1 of policy, 0 of prompts"),
        ([text("a")], {"max_texts": 0}, "Received: max_texts=0"),
        ([text("a")], {"name": "../a"}, r"no path. Received: name='../a'"),
        ([text("a")], {"name": None}, "Received: name=None"),
        ([text("a")], {"name": ""}, "Received: name=''"),
        ([text("a")], {"max_texts": 1.5}, "Received: max_texts=1.5"),
        ([text("a")], {"max_texts": True}, "Received: max_texts=True"),
        ([text("a")], {"max_texts": 10**400}, "Received: max_texts=an int"),
        ([text("a")], {"prompts": "p"}, "Received: prompts='p'"),
        ([text("a")], {"quantities": {"b": "rewards"}}, "names of the polic"),
        ([text("a")], {"quantities": ["b"]}, r"Received: quantities=\['b'\]"),
        (
            [text("a")],
            {"quantities": {"policy": "values"}},
            r"\"rewards\", \"log_probs\".*Received: .*='values'",
        ),
        ([text("a")], {"metrics": {"m": [1, 2]}}, r"2 of metrics\['m'\]"),
        ([text("a")], {"metrics": {"m": ["x"]}}, "lists of finite numbers.*x"),
        ([text("a")], {"metrics": {"m": [np.nan]}}, "Received: metrics=.*nan"),
        ([text("a")], {"metrics": [1]}, r"Received: metrics=\[1\]"),
        ([text("a"), text("")], {}, r"\['policy'\]\[1\].rewards=array\(\[\]"),
        (
            {"a": [text("a")], "b": [text("a", np.full(1, np.nan))]},
            {},
            r"finite numbers.*policies\['b'\]\[0\].rewards=array\(\[nan\]",
        ),
    ],
)
def test_says_what_is_wrong_with_its_arguments(
    policies, keywords, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        heat_map(policies, tmp_path, **keywords)
    assert not list(tmp_path.iterdir())
