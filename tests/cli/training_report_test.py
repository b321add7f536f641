"""What a command says of policies that were trained, and of one that diverged.

The report itself is read in `compare_test.py` and `train_test.py`.
"""

import pathlib
import types

import pytest

from keras_irl.cli.training_report import refuse_diverged
from keras_irl.cli.training_report import report_runs

FAILED = {
    "problem": "the loss is not finite",
    "step": 7,
    "kept_step": 4,
    "policy": "policies/gail-1.keras",
    "learning_rate": 0.1,
    "settings": {"td_weight": 2.0},
}
DIVERGED = {"seed": 1, "rows": [], "samples": [], "failed": FAILED}


def training():
    return types.SimpleNamespace(
        folder=types.SimpleNamespace(
            run_path=lambda name, seed: pathlib.Path(f"runs/{name}-{seed}.json")
        )
    )


def test_a_diverged_run_ends_the_command_with_what_to_do():
    runs = {"mle": [{"seed": 0}, {"seed": 1}], "gail": [{"seed": 0}, DIVERGED]}
    with pytest.raises(ValueError) as found:
        refuse_diverged(training(), runs)
    assert str(found.value) == (
        "gail: Seed 1 diverged at step 7: the loss is not finite "
        "(learning_rate=0.1, td_weight=2.0). It is not judged; "
        "policies/gail-1.keras holds its last finite weights, of step 4. All "
        "others are reported. Lower the weight or the learning rate, in "
        "another `--output`; to train it again as it was, remove "
        "runs/gail-1.json. Received: objective='gail', seed=1, step=7, "
        "td_weight=2.0"
    )


def test_finished_runs_do_not_end_it():
    assert refuse_diverged(training(), {"mle": [{"seed": 0}]}) is None


def test_nothing_is_reported_where_all_diverged():
    with pytest.raises(ValueError, match="gail: Seed 1 diverged"):
        report_runs(training(), {"gail": [DIVERGED]}, "")
