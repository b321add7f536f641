import copy

import pytest
from report_test import make_results
from report_test import make_row

from keras_irl.reporting.tables import Table
from keras_irl.reporting.tables import format_table
from keras_irl.reporting.tables import markdown_table


@pytest.fixture
def results():
    return make_results()


def test_words_of_different_tokenizers_do_not_stand_in_one_table(results):
    (row,) = results["objectives"]["mle"][0]["rows"][1:2]
    row["tokenize"] = "zh"
    with pytest.raises(ValueError, match="Received: tokenize=13a, zh"):
        format_table(results)
    for runs in results["objectives"].values():
        for run in runs:
            for row in run["rows"]:
                row["tokenize"] = "zh"
    assert "in tokens of sacrebleu's zh: Self-BLEU" in format_table(results)


def test_the_table_has_means_and_standard_errors(results):
    table = format_table(results)
    assert "2.500 ± 1.000" in table  # Of the negative log-likelihood.
    assert "46.0 ± 1.0" in table
    assert "Self-BLEU" in table


def test_the_table_says_what_its_entropy_is(results):
    assert "Entropy" not in format_table(results)
    for run in results["objectives"]["mle"]:
        for row in run["rows"]:
            row |= {"entropy": 1.5, "distinct_1": 40.0}
    table = format_table(results)
    assert "Entropy is that of the policy, at T = 1 whatever" in table
    assert "distinct-1" in table


def test_the_table_of_one_seed_has_no_standard_errors(results):
    for runs in results["objectives"].values():
        del runs[1:]
    assert "±" not in format_table(results)


def test_what_is_missing_is_said_once(results):
    """With one sampling decoder, no policy has a curve."""
    reason = "T=1 alone is a point, and no curve"
    front = {
        **dict.fromkeys(
            ("difference", "difference_low", "difference_high"), None
        ),
        **{"self_bleu_low": None, "self_bleu_high": None, "warning": ""},
        **{"points": ["T=1"], "runs": 1},
    }
    first = front | {"policy": "mle", "reason": reason}
    for others in (reason, f"of mle, {reason}"):
        other = front | {"policy": "iqlearn", "reason": others}
        shown = format_table(results | {"fronts": [first, other]})
        assert shown.count("Missing: ") == 1
        assert f"Missing: {others}." in shown
    alone = format_table(results | {"fronts": [first]})
    assert f"Missing: {reason}." in alone


def test_the_columns_of_the_table_are_aligned(results):
    for table in format_table(results).split("\n\n"):
        lines = table.splitlines()
        bars = [[i for i, c in enumerate(x) if c == "|"] for x in lines]
        assert all(positions == bars[0] for positions in bars)


def test_the_numbers_of_a_column_have_equally_many_decimals(results):
    runs = results["objectives"]
    for name, quality, loss in (("mle", 5.25, 4.2931), ("iqlearn", 46, 4.28)):
        (run, _) = runs[name]
        del runs[name][1:]
        run["negative_log_likelihood"] = loss
        run["rows"] = [make_row(1.0, quality, 100.0 - quality)]
    runs["gail"] = copy.deepcopy(runs["mle"])
    runs["gail"][0]["negative_log_likelihood"] = 123456789012.0
    cells = [
        [cell.strip() for cell in line.split("|")]
        for line in format_table(results).splitlines()
    ]
    assert [line[3] for line in cells if line[2:3] == ["1"]] == [
        *("4.293", "4.280", "1.23e+11"),
    ]
    rows = [line for line in cells if line[2:3] == ["T=1"]]
    names = next(line for line in cells if line[2:3] == ["decoding"])
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    assert columns["bleu"] == ("5.250", "46.000", "5.250")
    assert columns["chrf"] == ("15.2", "56.0", "15.2")
    assert columns["Self-BLEU"] == ("94.8", "54.0", "94.8")


def test_names_stand_to_the_left_and_numbers_to_the_right():
    table = Table(["a", "name", "number"], [["long", "x", "1.5"]], num_names=2)
    assert markdown_table(table).splitlines() == [
        "| a    | name | number |",
        "| ---- | ---- | -----: |",
        "| long | x    |    1.5 |",
    ]


def test_a_table_of_numbers_alone_stands_to_the_right():
    lines = markdown_table(Table(["n", "x"], [["10", "2"]], num_names=0))
    assert lines.splitlines() == [
        "|  n |  x |",
        "| -: | -: |",
        "| 10 |  2 |",
    ]


def test_texts_are_not_padded_and_not_cut():
    table = Table(["setting", "value"], [["a", "x" * 90]], is_text=True)
    assert markdown_table(table).splitlines()[1:] == [
        "| --- | --- |",
        f"| a | {'x' * 90} |",
    ]


def test_no_cell_ends_a_table_or_a_line():
    table = markdown_table(Table(["a|b"], [["<b>\n|"]]))
    assert table.splitlines()[0] == "| a\\|b    |"
    assert table.splitlines()[2] == "| \\<b>␊\\| |"
    assert len(table.splitlines()) == 3
