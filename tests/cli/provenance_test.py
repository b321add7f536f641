import datetime
import types

import keras
import pytest

from keras_irl.cli import provenance
from keras_irl.version import __version__


def options(**others):
    return types.SimpleNamespace(
        job="evaluate",
        arguments=["evaluate", "--task", "my task"],
        output="runs/x",
        backend=None,
        task="gsm8k",
        path=None,
        split="test",
        num_test=None,
        **others,
    )


def test_what_is_needed_to_get_the_same_results_is_listed():
    made = [
        {"versions": "keras 3", "date": "monday"},
        {"versions": "keras 3", "date": "tuesday"},
        {},
    ]
    found = provenance.settings(
        options(temperatures=[0.0, 1.0]), {"samples": 8}, made, split="test"
    )
    backend = keras.config.backend()
    assert found == {
        "command": f"keras-irl evaluate --task 'my task' --backend {backend}",
        "data path": "none",
        "split": "test; the task's own",
        "backend": backend,
        "task": "gsm8k",
        "num_test": "all",
        "temperatures": "0.0,1.0",
        "samples": "8",
        "versions": "keras 3; not known",
        "date": "monday; not known; tuesday",
    }


def test_versions_and_the_date_are_those_of_now():
    made = provenance.made_now()
    assert f"keras-irl {__version__}" in made["versions"]
    assert f"keras {keras.__version__}" in made["versions"]
    now = datetime.datetime.now(datetime.UTC)
    age = now - datetime.datetime.fromisoformat(made["date"])
    assert abs(age) < datetime.timedelta(minutes=1)


def test_texts_are_told_apart_wherever_they_differ():
    digest = provenance.digest_of_texts
    assert digest(["a", "b"]) == digest(("a", "b"))
    assert len(digest(["a"])) == 16
    others = [(["a\nb"],), (["a"], ["b"]), (["b", "a"],), ([["a", "b"]],)]
    found = {digest(*columns) for columns in [(["a", "b"],), *others]}
    assert len(found) == 1 + len(others)


def test_files_are_told_apart_by_content_and_name(tmp_path):
    def digest(name, content):
        folder = tmp_path / f"{name}-{content}"
        folder.mkdir()
        (folder / name).write_text(content)
        return provenance.digest_of_files(folder)

    digests = {digest("a", "1"), digest("a", "2"), digest("b", "1")}
    assert len(digests) == 3
    again = tmp_path / "copy"
    again.mkdir()
    (again / "a").write_text("1")
    assert provenance.digest_of_files(again) in digests


def run(losses, best_step):
    return {
        "seed": 3,
        "history": {"negative_log_likelihood": losses, "step": [10, 20]},
        "best_negative_log_likelihood": min(losses),
        "best_step": best_step,
        "kept_step": best_step,
    }


@pytest.mark.parametrize(
    ("losses", "best_step", "keeps_last", "note"),
    [
        (
            [2.0, 1.0],
            20,
            False,
            "Seed 3: the validation loss was least at the end, after 20 steps "
            "(1.0000): more may help. The weights of step 20 are judged.",
        ),
        (
            [1.0, 2.0],
            10,
            False,
            "Seed 3: the validation loss was least at step 10 (1.0000) and "
            "2.0000 at the end, after 20 steps: from there on it overfits. The "
            "weights of step 10 are judged.",
        ),
        (
            [1.0, 2.0],
            10,
            True,
            "Seed 3: the validation loss was least at step 10, which is not "
            "its aim. The weights of step 10 are judged.",
        ),
    ],
)
def test_a_training_that_was_too_long_is_told_of(
    losses, best_step, keeps_last, note
):
    objective = types.SimpleNamespace(keeps_last=keeps_last)
    assert provenance.training_note(
        run(losses, best_step), objective, True
    ) == (note)


def test_a_run_that_diverged_says_where_and_with_what():
    failed = {
        "step": 7,
        "problem": "the loss is nan",
        "learning_rate": 0.1,
        "settings": {"td_weight": 2.0},
        "policy": "diverged.keras",
        "kept_step": 5,
    }
    assert provenance.divergence_note({"seed": 1, "failed": failed}) == (
        "Seed 1 diverged at step 7: the loss is nan (learning_rate=0.1, "
        "td_weight=2.0). It is not judged; diverged.keras holds its last "
        "finite weights, of step 5."
    )
