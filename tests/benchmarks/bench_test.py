"""When `make bench` says that something became slower."""

import json

import bench
import bench_figures
import pytest
import rounds

COMMITTED = [0.9, 1.0, 1.1, 0.95, 1.05]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (COMMITTED, False),
        # Slower in the middle, but some rounds were as fast.
        ([0.9, 1.2, 1.3, 1.2, 1.2], False),
        # Slower in all rounds, but not by more than rounds differ.
        ([1.05, 1.06, 1.07, 1.08, 1.09], False),
        ([1.2, 1.3, 1.15, 1.2, 1.25], True),
        ([0.5, 0.6, 0.5, 0.5, 0.5], False),
    ],
)
def test_what_rounds_do_not_explain_is_worse(found, expected):
    assert bench.is_worse(found, COMMITTED) == expected


def test_a_figure_that_fails_or_is_worse_fails_the_run():
    found = {"a": [2.0] * 5, "b": COMMITTED, "c": None, "d": [9.0]}
    committed = {"a": COMMITTED, "b": COMMITTED, "c": COMMITTED}
    assert bench.failures(found, committed) == ["a", "c"]
    text = bench.table(found, committed)
    assert (
        "| a | 2.000 (2.000 to 2.000) | 1.000 (0.900 to 1.100) | worse |"
        in (text)
    )
    assert "| d | 9.000 (9.000 to 9.000) |  | not committed |" in text


def run(monkeypatch, tmp_path, ratios, *arguments):
    """The exit status of a run whose only figure has such ratios."""
    monkeypatch.setattr(bench, "COMMITTED", tmp_path / "bench.json")
    monkeypatch.setattr(bench, "FIGURES", ["a figure"])
    monkeypatch.setattr(bench, "measured", lambda *_: {"ratios": ratios})
    monkeypatch.setattr(bench.sys, "argv", ["bench.py", *arguments])
    return bench.main()


def test_the_exit_status_tells_of_a_regression(monkeypatch, tmp_path, capsys):
    assert run(monkeypatch, tmp_path, COMMITTED) == 0
    assert run(monkeypatch, tmp_path, COMMITTED, "--update") == 0
    kept = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert kept["figures"] == {"a figure": COMMITTED}
    assert run(monkeypatch, tmp_path, [3.0] * 5) == 1
    assert "Worse, or failed: a figure" in capsys.readouterr().out
    # It may be committed all the same.
    assert run(monkeypatch, tmp_path, [3.0] * 5, "--update") == 0
    assert run(monkeypatch, tmp_path, [3.0] * 5) == 0


def test_both_sides_of_a_ratio_take_turns():
    now, order = [0.0], []

    def work(name, seconds):
        def function():
            order.append(name)
            now[0] += seconds

        return function

    found = bench_figures.turns(
        work("a", 3.0), work("b", 2.0), rounds=2, clock=lambda: now[0]
    )
    assert found == [1.5, 1.5]
    assert order == ["a", "b", "a", "b", "b", "a"]


def test_rounds_alternate_and_a_failure_has_no_ratio():
    order = []

    def one(name):
        order.append(name)
        return {"seconds": len(order)}

    found = rounds.alternate(["a", "b"], one, 2)
    assert order == ["a", "b", "b", "a"]
    assert rounds.ratios("seconds", found["a"], found["b"]) == [0.5, 4 / 3]
    assert rounds.ratios("seconds", [None], [{"seconds": 1}]) == []
    assert rounds.median("seconds", found["a"]) == 2.5
    assert rounds.median("seconds", [None]) is None
    assert rounds.spread([2.0, 1.0, 3.0], 1) == "2.0 (1.0 to 3.0)"
