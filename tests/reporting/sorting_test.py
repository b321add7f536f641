import base64
import hashlib
import json

from browser import dom_of
from pictures_test import compared
from pictures_test import run

from keras_irl.reporting import write_report
from keras_irl.reporting.report import sorting_script

# Presses the header of a column, as whoever reads the page would. The policy
# of the page lets no other script run, so that this one stands around it.
PRESS = """<iframe id="page"></iframe><script>
const frame = document.getElementById('page');
frame.onload = () => {
  const page = frame.contentDocument;
  const table = [...page.querySelectorAll('table.sorted')].at(-1);
  const heads = [...table.tHead.rows[0].cells];
  const shown = () =>
    [...table.tBodies[0].rows].map(x => x.cells[0].textContent);
  const column = heads.findIndex(x => x.textContent.startsWith('bleu'));
  const found = [shown()];
  for (const place of [column, column, 0]) {
    heads[place].querySelector('button').click();
    found.push([heads[place].getAttribute('aria-sort'), ...shown()]);
  }
  document.title = JSON.stringify(found);
};
frame.srcdoc = SOURCE;
</script>"""


def test_a_table_is_sorted_by_the_column_that_is_pressed(tmp_path):
    results = compared(b=run(1), a=run(2), c=run(3))
    for number, name in ((9.5, "b"), (70.0, "a"), (-10.0, "c")):
        (one,) = results["objectives"][name]
        one["rows"] = one["rows"][:1]
        one["rows"][0]["metrics"] = {"bleu": number}
    write_report(results, tmp_path)
    source = (tmp_path / "report.html").read_text("utf-8")
    source = json.dumps(source).replace("</", "<\\/")
    page = f"<title>-</title>{PRESS.replace('SOURCE', source)}"
    assert json.loads(dom_of(page, tmp_path / "press.html").title) == [
        ["b", "a", "c"],
        ["descending", "a", "b", "c"],
        ["ascending", "c", "b", "a"],
        ["ascending", "a", "b", "c"],
    ]


def test_the_digest_is_that_of_the_script():
    script = sorting_script()
    digest = hashlib.sha256(str(script.code).encode()).digest()
    assert script.digest == f"sha256-{base64.b64encode(digest).decode()}"
    # Nothing in it could end it, or reach for the network.
    assert "</" not in script.code
    for word in ("http", "fetch", "import", "eval", "innerHTML"):
        assert word not in script.code
