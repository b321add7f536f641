"""A kept run is whole, or its file is damaged: nothing in between."""

import copy
import json
import math
import re

import numpy as np
import pytest

from keras_irl.cli.checkpoints import json_text
from keras_irl.cli.kept_runs import ExpectedRows
from keras_irl.cli.kept_runs import check_comparison_run
from keras_irl.cli.kept_runs import check_evaluation
from keras_irl.cli.run_folder import EvaluationFolder
from keras_irl.cli.run_folder import RunFolder
from keras_irl.evaluation import pick_samples
from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.metrics import bleu
from keras_irl.tasks import Task

PROMPTS = [f"p{number}" for number in range(2)]
TASK = Task(
    "two",
    "test",
    prompts=PROMPTS,
    responses=["a b", "c d"],
    references=[["a b"], ["c d"]],
    pairs=(PROMPTS, ["a b", "c d"]),
    metrics={"bleu": bleu, "mine": lambda texts, references: 1.0},
)
EXPECTED = ExpectedRows(
    "mle", TASK, [Sampling(0.5), BeamSearch(2)], num_samples=2, seeds=(0, 1)
)


def row_of(decoder, temperature, seed, num_samples):
    several = num_samples > 1
    texts = [["a b c"] * num_samples for _ in PROMPTS]
    added = [
        bleu.statistics(list(x), TASK.references)
        for x in zip(*texts, strict=True)
    ]
    added = np.stack(added, axis=1).tolist()
    errors = {"bleu": 0.5, "entropy": 0.1}
    return {
        "policy": "mle",
        "replica": 0,
        "cut_prompts": 0,
        "decoder": decoder,
        "temperature": temperature,
        "seed": seed,
        "num_samples": num_samples,
        "metrics": {"bleu": 10.5, "mine": 1.0},
        "sample_metrics": {},
        "self_bleu": 50.0 if several else None,
        "distinct_1": 90.0,
        "distinct_2": 100.0,
        "distinct_3": 100.0,
        "tokenize": "13a",
        "entropy": 3.5,
        "finished": 25.0,
        "num_tokens": 6.5,
        "tokens_per_second": 400.0,
        "standard_errors": errors | ({"self_bleu": 1.0} if several else {}),
        "prompt_self_bleu": [40.0, 60.0] if several else None,
        "statistics": {"bleu": added},
        "responses": texts,
    }


ROWS = [
    row_of("T=0.5", 0.5, 0, 2),
    row_of("T=0.5", 0.5, 1, 2),
    row_of("beam 2 penalty 0.6", None, 0, 1),
]
MADE = {
    "versions": "keras-irl 0.2.0, torch 2.13.0+cpu, python 3.11.7",
    "date": "2026-11-27T14:54:12+00:00",
}


def kept(run):
    """As it is read from a file."""
    return json.loads(json_text(run))


EVALUATION = kept(
    {
        "path": "/tmp/mle.keras",
        "digest": "0f" * 32,
        "rows": ROWS,
        "samples": pick_samples(ROWS, TASK),
        **MADE,
    }
)
RUN = kept(
    {
        "seed": 0,
        "negative_log_likelihood": 3.5,
        "best_negative_log_likelihood": 3.25,
        "token_entropy": 3.5,
        "token_accuracy": 0.5,
        "seconds_per_step": 0.1,
        "best_step": 1,
        "kept_step": 2,
        "history": {
            "step": [1, 2],
            "negative_log_likelihood": [3.25, 3.5],
            "entropy": [3.0, 3.0],
            "token_accuracy": [0.25, 0.5],
        },
        "rows": ROWS,
        "samples": pick_samples(ROWS, TASK),
        **MADE,
    }
)
FAILED = {
    "seed": 0,
    "rows": [],
    "samples": [],
    "failed": {
        "problem": "the loss is nan",
        "step": 3,
        "kept_step": 2,
        "policy": "out/policies/mle-0.keras",
        "learning_rate": 0.1,
        "settings": {"td_weight": 0.5, "divergence": "chi2"},
    },
    **MADE,
}
CHECKS = {
    "evaluation": (EVALUATION, check_evaluation),
    "comparison": (RUN, check_comparison_run),
    "diverged": (FAILED, check_comparison_run),
}
DELETED = object()
WRONG = (None, "x", [], {}, -1, True, math.inf, DELETED)
# What these fields may be too, whatever was written: numbers of anybody's, and
# of what overflows, which reports list; and texts that say what they are.
ADDED = r"statistics\['bleu'\]\[.*\[.*\[.*"
SETTING = r"failed\['settings'\]\[.*"
FINE = {
    math.inf: (
        rf"metrics\[.*|{ADDED}|standard_errors\[.*|entropy|"
        r"tokens_per_second|(best_)?negative_log_likelihood|token_entropy|"
        rf"history\['(negative_log_likelihood|entropy)'\]\[.*|{SETTING}"
    ),
    -1: rf"metrics\[.*|{ADDED}|{SETTING}",
    "x": (rf"path|responses\[.*\[.*|failed\['(problem|policy)'\]|{SETTING}"),
    None: SETTING,
    True: SETTING,
    DELETED: rf"{SETTING}|versions|date",
}


def places(value, path=()):
    """The paths of all entries, at most two of each list."""
    items = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = list(enumerate(value))[:2]
    for name, item in items:
        yield (*path, name)
        yield from places(item, (*path, name))


def mutated(run, path, wrong):
    run = copy.deepcopy(run)
    inside = run
    for name in path[:-1]:
        inside = inside[name]
    if wrong is DELETED:
        del inside[path[-1]]
    else:
        inside[path[-1]] = wrong
    return run


def name_of(path):
    """A field's name, wherever its row stands."""
    if path[0] == "rows" and len(path) > 2:
        path = path[2:]
    first, *others = path
    return str(first) + "".join(f"[{name!r}]" for name in others)


def is_fine(path, wrong, before):
    if type(before) is type(wrong) and before == wrong:
        return True
    return wrong in FINE and re.fullmatch(FINE[wrong], name_of(path))


@pytest.mark.parametrize("kind", CHECKS)
def test_whatever_is_changed_in_a_kept_run_is_found(kind):
    run, check = CHECKS[kind]
    check(run, EXPECTED)
    num_found = 0
    for path in places(run):
        before = run
        for name in path:
            before = before[name]
        for wrong in WRONG:
            if not isinstance(wrong, list | dict) and is_fine(
                path, wrong, before
            ):
                continue
            if isinstance(wrong, list | dict) and wrong == before:
                continue
            if path[-1] == "settings" and wrong == {}:
                continue  # An objective may have none.
            with pytest.raises(ValueError, match="Received: "):
                check(mutated(run, path, wrong), EXPECTED)
                raise AssertionError(f"{path} = {wrong} is not found.")
            num_found += 1
    assert num_found > 50


def test_a_changed_run_is_named_with_its_file_and_what_to_do(tmp_path):
    for kind, run, check in (
        (EvaluationFolder, EVALUATION, check_evaluation),
        (RunFolder, RUN, check_comparison_run),
    ):
        folder = kind(tmp_path / kind.job, {"steps": 3})

        def whole(run, check=check):
            check(run, EXPECTED)

        folder.finish_run("mle", 0, run)
        assert folder.finished_run("mle", 0, whole) == run
        folder.finish_run("mle", 0, mutated(run, ("rows", 1), DELETED))
        message = (
            "mle-0.json' is damaged: rows is no list of 3 items. Received: 2 "
            "of them. Delete it, and the same command makes it anew. Received: "
        )
        with pytest.raises(ValueError, match=re.escape(message)):
            folder.finished_run("mle", 0, whole)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("rows", 0, "policy"), "x", r"rows\[0\]\['policy'\] should be 'mle'"),
        (("rows", 1, "seed"), 0, r"rows\[1\]\['seed'\] should be 1"),
        (("rows", 0, "decoder"), "T=1", "should be 'T=0.5'"),
        (("rows", 0, "tokenize"), "zh", "should be '13a'"),
        (("rows", 0, "metrics"), {"bleu": 1.0}, "should have .*'mine'"),
        (("rows", 2, "self_bleu"), 1.0, "does not fit its number of samples"),
        (("samples", 0, "prompt"), "p1", "is not what its rows hold"),
    ],
)
def test_rows_are_those_of_the_command(path, value, message):
    with pytest.raises(ValueError, match=f"{message}.*Received: "):
        check_evaluation(mutated(EVALUATION, path, value), EXPECTED)


def test_rows_in_another_order_are_not_those_of_the_command():
    run = EVALUATION | {"rows": EVALUATION["rows"][::-1]}
    with pytest.raises(ValueError, match=r"rows\[0\].*should be"):
        check_evaluation(run, EXPECTED)


def test_history_and_steps_fit_each_other():
    for path, value in (
        (("history", "step"), [2, 1]),
        (("history", "step"), [1, 1]),
        (("history", "entropy"), [1.0]),
        (("best_step",), 3),
    ):
        with pytest.raises(ValueError, match="Received: "):
            check_comparison_run(mutated(RUN, path, value))


def test_what_an_older_version_did_not_keep_is_not_missed():
    row = {"decoder": "T=0.5", "metrics": {"bleu": 1.0}, "responses": [["a"]]}
    samples = {"temperature": 0.5, "texts": ["a"]}
    sample = {"prompt": "a", "references": ["b"], "responses": [samples]}
    core = ("seed", "best_step", "kept_step", "history")
    core += ("negative_log_likelihood", "best_negative_log_likelihood")
    older = {name: RUN[name] for name in core}
    older |= {"rows": [row], "samples": [sample]}
    check_comparison_run(older)
    del older["rows"][0]["metrics"]
    with pytest.raises(ValueError, match=r"rows\[0\] lacks 'metrics'"):
        check_comparison_run(older)


def test_numbers_that_overflowed_are_numbers():
    run = mutated(RUN, ("negative_log_likelihood",), math.nan)
    check_comparison_run(kept(run), EXPECTED)
    with pytest.raises(ValueError, match="is no number"):
        check_comparison_run(
            mutated(RUN, ("negative_log_likelihood",), 10**400)
        )
