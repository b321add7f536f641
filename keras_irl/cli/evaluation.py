"""An evaluation of saved policies: sampled, judged and reported."""

import argparse
from typing import Any
from typing import NamedTuple

import keras

from keras_irl.cli.chosen_metrics import metric_sources
from keras_irl.cli.chosen_metrics import with_chosen_metrics
from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import config_text
from keras_irl.cli.config import plain_options
from keras_irl.cli.decoders import make_decoders
from keras_irl.cli.output_folder import check_output
from keras_irl.cli.output_folder import write_output
from keras_irl.cli.provenance import data_name
from keras_irl.cli.provenance import digest_of_files
from keras_irl.cli.provenance import digest_of_texts
from keras_irl.cli.provenance import made_now
from keras_irl.cli.provenance import settings
from keras_irl.cli.run_folder import EvaluationFolder
from keras_irl.cli.saved_policies import load_saved
from keras_irl.cli.saved_policies import named_paths
from keras_irl.error_texts import shortened
from keras_irl.evaluation import compare_fronts
from keras_irl.evaluation import pick_samples
from keras_irl.evaluation import sweep
from keras_irl.evaluation.judging import check_task
from keras_irl.evaluation.results import check_run
from keras_irl.metrics.bootstrap import check_num_resamples
from keras_irl.reporting import format_table
from keras_irl.reporting.report import report_files
from keras_irl.tasks import load_task

# What the answers depend on.
_SETTINGS = (
    *("task", "path", "split", "num_test", "max_prompt_length", "max_length"),
    *("batch_size", "decoders", "num_samples", "seeds", "tokenize"),
    "metrics",
)


def run_evaluation(options: argparse.Namespace) -> Any:
    """Runs `keras-irl evaluate`.

    What a policy wrote is kept in the output folder as soon as it is judged:
    the same command continues with the next one.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The results, see `keras_irl/evaluation/results.py`.

    Raises:
        ValueError: If a task, path, policy, decoder or metric is wrong, or the
            output folder holds another evaluation. No report is written then.
    """
    check_output("evaluate", options.output)
    check_num_resamples(options.num_resamples)
    groups = {
        name: [PolicyFile(name, *numbered) for numbered in enumerate(paths)]
        for name, paths in named_paths(options.policy).items()
    }
    decoders = make_decoders(options.decoders)
    task = load_task(
        options.task, options.split, options.path, options.tokenize
    )
    task = with_chosen_metrics(task, options.metrics, options.tokenize)
    task = task.first(options.num_test)
    metric = _metric(options.metric, task)
    check_task(task)
    folder = _folder(options, task)
    config = config_text(options, keras.config.backend())
    folder.keep_config(config)
    for files in groups.values():
        for file in files:
            # What is damaged is found out before hours of judging.
            folder.finished_run(file.name, file.replica, _check_run)
    objectives = {
        name: [_run(folder, file, task, decoders, options) for file in files]
        for name, files in groups.items()
    }
    results = _results(objectives, task, metric, options)
    report = report_files(
        results,
        "results.json",
        settings=_settings_told(objectives, task, options),
    )
    report[CONFIG] = config
    write_output("evaluate", report, options.output, format_table(results))
    return results


class PolicyFile(NamedTuple):
    """A policy to judge.

    Attributes:
        name: What reports call it.
        replica: Its number among the training runs of this name.
        path: Where it is.
    """

    name: str
    replica: int
    path: str


def _metric(name, task):
    if name is None:
        return next(iter(task.metrics))
    if name not in task.metrics:
        raise ValueError(
            f"The metrics of the task '{task.name}' are "
            f"{', '.join(task.metrics)}. Received: metric={name!r}"
        )
    return name


def _folder(options, task):
    told_apart_by = plain_options(options, _SETTINGS)
    told_apart_by["texts"] = digest_of_texts(task.prompts, task.references)
    told_apart_by["backend"] = keras.config.backend()
    told_apart_by |= metric_sources(options.metrics)
    return EvaluationFolder(options.output, told_apart_by, options.overwrite)


def _run(folder, file, task, decoders, options):
    """Judges a policy, or finds that this was done."""
    name, replica, path = file
    digest = digest_of_files(path)
    run = folder.finished_run(name, replica, _check_run)
    if run is not None:
        if run["digest"] != digest:
            raise ValueError(
                f"Another policy was judged as {name!r}, number {replica}. "
                "Pass another `--output`, or `--overwrite` to forget what was "
                f"judged there. Received: policy={path!r}, before "
                f"{run['path']!r}"
            )
        print(f"{name}, {path}: judged before.")
        return run
    print(f"{name}, {path}")
    saved = load_saved(path, options.max_prompt_length, options.max_length)
    rows = sweep(
        {name: saved.policy},
        task,
        decoders,
        options.num_samples,
        batch_size=options.batch_size,
        num_seeds=options.seeds,
    )
    run = {
        "path": path,
        "digest": digest,
        "rows": [row | {"replica": replica} for row in rows],
        "samples": pick_samples(rows, task),
        **made_now(),
    }
    folder.finish_run(name, replica, run)
    return run


def _settings_told(objectives, task, options):
    """Settings that another evaluation needs to come out alike."""
    runs = [run for of_one in objectives.values() for run in of_one]
    digests = [f"{run['path']} {run['digest'][:16]}" for run in runs]
    found = {
        "num_test": len(task.prompts),
        "metric": options.metric or next(iter(task.metrics)),
        "data digest": digest_of_texts(task.prompts, task.references),
        "policy digests": ", ".join(digests),
    }
    return settings(options, found, runs)


def _check_run(run):
    check_run(run)
    for name in ("path", "digest"):
        if not isinstance(run.get(name), str):
            raise ValueError(
                f"It has no {name}. "
                f"Received: {name}={shortened(run.get(name), 100)}"
            )


def _results(objectives, task, metric, options):
    rows = [
        row
        for runs in objectives.values()
        for run in runs
        for row in run["rows"]
    ]
    fronts = compare_fronts(rows, task, metric, options.num_resamples)
    paths = [run["path"] for runs in objectives.values() for run in runs]
    return {
        "task": options.task,
        "data": data_name(options),
        "split": options.split,
        "metric": metric,
        "policies": ", ".join(paths),
        "backend": keras.config.backend(),
        "test_prompts": len(task.prompts),
        "num_samples": options.num_samples,
        "seeds": options.seeds,
        "tokenize": options.tokenize,
        "num_resamples": options.num_resamples,
        "objectives": objectives,
        "fronts": fronts,
    }
