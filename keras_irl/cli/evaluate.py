"""`keras-irl evaluate`: samples from saved policies and evaluates them."""

import argparse
from typing import Any
from typing import NamedTuple

from keras_irl.cli import provenance
from keras_irl.cli.chosen_metrics import metric_sources
from keras_irl.cli.chosen_metrics import with_chosen_metrics
from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import config_text
from keras_irl.cli.config import plain_options
from keras_irl.cli.decoders import DECODERS
from keras_irl.cli.decoders import all_specs
from keras_irl.cli.decoders import decoder_specs
from keras_irl.cli.decoders import make_decoders
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.flag_values import path_text
from keras_irl.cli.flag_values import positive
from keras_irl.cli.flag_values import several
from keras_irl.cli.flag_values import size
from keras_irl.cli.flag_values import temperature
from keras_irl.cli.flags import Commands
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_data
from keras_irl.cli.flags import add_devices
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_metrics
from keras_irl.cli.flags import add_num_resamples
from keras_irl.cli.flags import add_num_samples
from keras_irl.cli.flags import add_output
from keras_irl.cli.flags import add_saved_policy_lengths
from keras_irl.cli.flags import add_tokenize
from keras_irl.cli.output_lock import run_alone

# What the answers depend on.
_SETTINGS = (
    *("task", "path", "split", "num_test", "max_prompt_length", "max_length"),
    *("batch_size", "decoders", "num_samples", "seeds", "tokenize"),
    "metrics",
)


def add_arguments(commands: Commands) -> None:
    """Adds the command and its flags to the parser.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "evaluate",
        "judge what trained policies write",
        "Lets trained policies answer the prompts of a task, decoded in "
        "several ways, and writes results.json, report.md, pictures, and "
        "report.html, a page that needs nothing else: quality against "
        "diversity, their differences at equal diversity with intervals, "
        "and samples side by side. Interrupted, the same command continues "
        "with the next policy.",
    )
    _add_task(parser.add_argument_group("the task"))
    _add_policies(parser.add_argument_group("the policies"))
    _add_decoding(parser.add_argument_group("the decoding"))
    output = parser.add_argument_group("the output")
    add_num_resamples(output)
    add_output(
        output,
        "runs/evaluate",
        "the files",
        "what another evaluation left in the folder",
    )


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns. The decoders are made those
            of both flags.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    from keras_irl.cli import early_checks
    from keras_irl.cli.saved_policies import named_paths

    early_checks.check_encoding(options)
    early_checks.check_task_flags(options.task, options.path, (options.split,))
    named_paths(options.policy)
    # From here on, temperatures are decoders like others.
    options.decoders = all_specs(options.temperatures, options.decoders)
    options.temperatures = None
    check_mesh(options)
    early_checks.check_output_path(options.output)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `evaluate_policies`.
    """
    return run_alone(evaluate_policies, options)


def evaluate_policies(options: argparse.Namespace) -> dict[str, Any]:
    """Lets saved policies answer prompts, judges and reports them.

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
    import keras

    from keras_irl.cli.output_folder import check_output
    from keras_irl.cli.saved_policies import named_paths
    from keras_irl.evaluation.judging import check_task
    from keras_irl.metrics.bootstrap import check_num_resamples
    from keras_irl.tasks import load_task

    check_output("evaluate", options.output)
    check_num_resamples(options.num_resamples)
    groups = {
        name: [_PolicyFile(name, *numbered) for numbered in enumerate(paths)]
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
            _finished(folder, file, task, options, decoders=decoders)
    objectives = {
        name: [
            _run(folder, file, task, options, decoders=decoders)
            for file in files
        ]
        for name, files in groups.items()
    }
    results = _results(objectives, task, metric, options)
    _write(results, task, config, options)
    return results


class _PolicyFile(NamedTuple):
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
    import keras

    from keras_irl.cli.run_folder import EvaluationFolder

    settings_key = plain_options(options, _SETTINGS)
    settings_key["texts"] = provenance.digest_of_texts(
        task.prompts, task.references
    )
    settings_key["backend"] = keras.config.backend()
    settings_key |= metric_sources(options.metrics)
    return EvaluationFolder(options.output, settings_key, options.overwrite)


def _run(folder, file, task, options, *, decoders):
    """Judges a policy, or finds that this was done."""
    from keras_irl.cli.saved_policies import load_saved
    from keras_irl.evaluation import pick_samples
    from keras_irl.evaluation import sweep

    name, replica, path = file
    digest = provenance.digest_of_files(path)
    run = _finished(folder, file, task, options, decoders=decoders)
    if run is not None:
        if run["digest"] != digest:
            raise ValueError(
                f"Another policy was judged as {name!r}, number {replica}. "
                "Pass another `--output`, or `--overwrite` to forget what was "
                f"judged there. Received: policy={path!r}, before "
                f"{run['path']!r}"
            )
        print(f"{name}, {path}: judged before.")
        # Wherever it was then, here it is read and told of.
        return run | {"path": path}
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
        **provenance.made_now(),
    }
    folder.finish_run(name, replica, run)
    return run


def _results(objectives, task, metric, options):
    import keras

    from keras_irl.evaluation import compare_fronts

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
        "data": provenance.data_name(options),
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


def _settings(objectives, task, options):
    """Settings that another evaluation needs to come out alike."""
    runs = [run for of_one in objectives.values() for run in of_one]
    digests = [f"{run['path']} {run['digest'][:16]}" for run in runs]
    found = {
        "num_test": len(task.prompts),
        "metric": options.metric or next(iter(task.metrics)),
        "data digest": provenance.digest_of_texts(
            task.prompts, task.references
        ),
        "policy digests": ", ".join(digests),
    }
    return provenance.settings(options, found, runs, split=options.split)


def _finished(folder, file, task, options, *, decoders):
    """An earlier judgment of a policy, whole, or `None`."""
    from keras_irl.cli.kept_runs import ExpectedRows
    from keras_irl.cli.kept_runs import check_evaluation

    expected = ExpectedRows(
        file.name,
        task,
        decoders,
        options.num_samples,
        range(options.seeds),
        file.replica,
    )
    return folder.finished_run(
        file.name, file.replica, lambda run: check_evaluation(run, expected)
    )


def _write(results, task, config, options):
    from keras_irl.cli.output_folder import write_output
    from keras_irl.reporting import format_table
    from keras_irl.reporting.report import report_files

    settings = _settings(results["objectives"], task, options)
    report = report_files(results, "results.json", settings=settings)
    report[CONFIG] = config
    write_output("evaluate", report, options.output, format_table(results))


def _add_task(group):
    add_data(group)
    add = group.add_argument
    add("--split", default="test", metavar="NAME", help="of the task's data")
    add(
        "--num-test",
        type=positive,
        metavar="N",
        help="answer the first N prompts only",
    )
    add(
        "--metric",
        metavar="NAME",
        help="the task's metric to draw and compare (default: its first)",
    )
    add_tokenize(group)
    add_metrics(group)


def _add_policies(group):
    group.add_argument(
        "--policy",
        type=path_text,
        required=True,
        action="append",
        metavar="NAME=PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset, with a name; may be given several times, the "
            "first is what others are compared with; policies of one name are "
            "training runs of one method"
        ),
    )
    add_saved_policy_lengths(group)
    add_machine(group)
    add_devices(group)


def _add_decoding(group):
    add = group.add_argument
    add(
        "--temperatures",
        type=several(temperature),
        metavar="NUMBERS",
        help=(
            "comma-separated, as of `compare`; 0 is greedy decoding (default: "
            "what --decoders says)"
        ),
    )
    add(
        "--decoders",
        type=decoder_specs,
        metavar="LIST",
        help=(
            "besides the temperatures, comma-separated: greedy, T=0.5, "
            "top-k=40, T=0.7+top-p=0.9, beam=4, beam=4+length-penalty=1 "
            f"(default: {DECODERS}, or the temperatures alone)"
        ),
    )
    add_num_samples(group)
    add(
        "--seeds",
        type=size,
        default=1,
        metavar="N",
        help="how often these are drawn, each time with other noise",
    )
