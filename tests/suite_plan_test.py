"""Every test runs somewhere, and what the plan names is there."""

import ast
import json
import pathlib

import pytest
import suite_plan

HERE = pathlib.Path(__file__).parent


def names_of_tests(file):
    names = [
        node.name
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    return [name for name in names if name.startswith("test_")]


@pytest.mark.parametrize(
    "entry", [*suite_plan.BACKEND_FREE, *suite_plan.PLAN, *suite_plan.EQUATIONS]
)
def test_what_the_plan_names_is_there(entry):
    # Who moves a test moves its entry along.
    place, _, name = entry.partition("::")
    assert (HERE / place).exists()
    if name:
        start = name.partition("[")[0]
        assert any(
            test.startswith(start) for test in names_of_tests(HERE / place)
        )


@pytest.mark.parametrize("entry", suite_plan.EQUATIONS)
def test_what_make_check_runs_of_an_equation_has_its_whole_name(entry):
    # pytest is given it, and finds nothing by a beginning.
    place, _, name = entry.partition("::")
    assert name in names_of_tests(HERE / place)


def test_every_entry_of_the_plan_names_backends():
    for entry, backends in suite_plan.PLAN.items():
        assert backends, entry
        assert set(backends) <= set(suite_plan.BACKENDS), entry


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("metrics/quality_test.py", True),
        ("metrics_of_mine/quality_test.py", False),
        ("files/paths_test.py", True),
        ("ops/values_test.py", False),
    ],
)
def test_a_backend_is_needed_or_not_by_room_or_file(place, expected):
    assert suite_plan.is_backend_free(place) is expected


def test_the_longest_entry_of_the_plan_counts():
    file = "trainers/gail_test.py"
    planned = suite_plan.planned_backends
    assert planned(f"{file}::test_values_learn_what_is_to_come") == ("torch",)
    assert planned(f"{file}::test_the_gradient_of_each_network") == planned(
        "ops/values_test.py::test_anything"
    )
    assert planned("clio_test.py::test_anything") == suite_plan.BACKENDS


def test_a_family_is_tested_everywhere_if_it_stands_for_others(monkeypatch):
    planned, test = suite_plan.planned_backends, "families/any_test.py::test_a"
    assert planned(test, "bloom") == (suite_plan.QUICKEST,)
    assert planned(test, "llama") == suite_plan.BACKENDS
    named = "families/heads_test.py::test_learns_generates_and_is_saved"
    assert "jax" in planned(f"{named}[llama]", "llama")
    assert "jax" not in planned(f"{named}[t5]", "t5")
    assert planned(f"{test}[bloom]", "bloom") == (suite_plan.QUICKEST,)
    monkeypatch.setitem(suite_plan.PLAN, f"{test}[bloom]", suite_plan.BACKENDS)
    assert planned(f"{test}[bloom]", "bloom") == suite_plan.BACKENDS


def test_what_was_left_to_a_backend_that_did_not_run_it_is_found(tmp_path):
    for name, record in {
        "jax": {"ran": ["a"], "left": ["b", "c"]},
        "torch": {"ran": ["b"], "left": []},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record), "utf-8")
    assert suite_plan.never_run(tmp_path) == ["c"]
    (tmp_path / "torch.json").write_text('{"ran": ["b", "c"], "left": []}')
    assert suite_plan.never_run(tmp_path) == []


def test_every_equation_has_a_test_that_make_check_runs():
    files = {entry.partition("::")[0] for entry in suite_plan.EQUATIONS}
    for room in ("ops", "losses"):
        for file in (HERE / room).glob("*_test.py"):
            assert file.relative_to(HERE).as_posix() in files
