"""What a reader sees of a report, measured in a browser."""

import json

import pytest
from browser import dom_of
from browser import unprotected
from pictures_test import compared
from pictures_test import run

from keras_irl.reporting import write_report

# A phone of 390 px; then the last table is scrolled down by half its height.
MEASURE = """<iframe id="phone" style="width: 390px; height: 800px"></iframe>
<script>
const frame = document.getElementById('phone');
frame.onload = () => {
  const page = frame.contentDocument;
  const boxes = [...page.querySelectorAll('.wide')];
  const box = boxes.findLast(x => x.querySelector('table'));
  box.scrollTop = 100;
  box.scrollLeft = 100;
  const top = box.getBoundingClientRect();
  const head = box.querySelector('thead th').getBoundingClientRect();
  const name = box.querySelector('td').getBoundingClientRect();
  const hint = page.querySelector('.hint');
  const names = [...page.querySelectorAll('.settings th')];
  const setting = names.find(x => x.textContent == 'command');
  setting.innerHTML = '<span>command</span>';
  document.title = JSON.stringify({
    scrolled: [box.scrollTop, box.scrollLeft],
    head: head.top - top.top,
    name: name.left - top.left,
    hint: frame.contentWindow.getComputedStyle(hint).display,
    hints: page.querySelectorAll('.hint').length,
    boxes: boxes.length,
    page: page.documentElement.scrollWidth,
    setting: setting.querySelector('span').getClientRects().length,
  });
};
frame.srcdoc = SOURCE;
</script>"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    results = compared(**{f"policy {i}": run(i) for i in range(6)})
    responses = [{"decoder": "greedy", "texts": ["X is a Thai place."]}]
    sample = {"prompt": "X", "references": [], "responses": responses}
    for runs in results["objectives"].values():
        runs[0]["samples"] = [sample]
        for row in runs[0]["rows"]:
            row |= {f"distinct_{n}": 40.0 for n in (1, 2, 3)}
    write_report(
        results, folder, settings={"command": "keras-irl compare " * 20}
    )
    source = (folder / "report.html").read_text("utf-8")
    source = json.dumps(unprotected(source)).replace("</", "<\\/")
    page = f"<title>-</title>{MEASURE.replace('SOURCE', source)}"
    return json.loads(dom_of(page, folder / "measure.html").title)


def test_the_header_and_the_names_of_a_table_stay(measured):
    assert measured["scrolled"] == [100, 100]
    assert abs(measured["head"]) < 2
    assert abs(measured["name"]) < 2


def test_a_narrow_page_says_that_its_tables_scroll(measured):
    assert measured["hint"] == "block"
    assert measured["hints"] == measured["boxes"] > 2


def test_a_narrow_page_is_no_wider_than_the_screen(measured):
    assert measured["page"] <= 390


def test_names_of_settings_are_not_broken(measured):
    assert measured["setting"] == 1
