"""What `make check` takes for the tests of a change."""

import pytest
import quick_check


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("keras_irl/ops/values.py", ["tests/ops/values_test.py"]),
        ("keras_irl/files/paths.py", ["tests/files/paths_test.py"]),
        ("tests/cli/compare_test.py", ["tests/cli/compare_test.py"]),
        ("tests/files/paths_test.py", ["tests/files/paths_test.py"]),
        # Private to one that has a test.
        (
            "keras_irl/trainers/update_counter.py",
            ["tests/trainers/trainer_test.py"],
        ),
        ("tests/ops/that_was_deleted_test.py", []),
        ("README.md", []),
        ("benchmarks/values.py", []),
    ],
)
def test_a_file_has_the_test_that_mirrors_it(changed, tests):
    assert quick_check.tests_of([changed]) == tests


def test_what_takes_minutes_is_left_out():
    assert quick_check.takes_minutes("tests/cli/compare_test.py")
    assert quick_check.takes_minutes("tests/fuzz/files_test.py")
    assert not quick_check.takes_minutes("tests/ops/values_test.py")


def test_many_changes_are_left_to_the_whole_suite(monkeypatch, capsys):
    uncommitted = ["keras_irl/ops/values.py"]
    rooms = ("ops", "losses", "metrics")
    files = [
        f"tests/{path.relative_to(quick_check.HERE)}"
        for room in rooms
        for path in (quick_check.HERE / room).glob("*_test.py")
    ]
    monkeypatch.setattr(
        quick_check,
        "changed_files",
        lambda since: uncommitted if since == "HEAD" else files,
    )
    assert quick_check.changed_tests() == ["tests/ops/values_test.py"]
    assert f"{len(files)} test files differ" in capsys.readouterr().out


def test_nothing_is_asked_for_twice(monkeypatch):
    file = "tests/ops/values_test.py"
    monkeypatch.setattr(
        quick_check,
        "changed_tests",
        lambda: [file, "tests/files/paths_test.py"],
    )
    selected = quick_check.selected()
    assert file in selected
    assert not [one for one in selected if one.startswith(f"{file}::")]
    assert selected.count("tests/files/paths_test.py") == 1
