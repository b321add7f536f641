"""Provenance of results: settings, versions and notes on the training.

Whoever reads a report can make it again. Keras is imported once it is asked
for, as help needs none of it.
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
from collections.abc import Sequence
from typing import Any

from keras_irl.cli.decoders import DecoderSpec
from keras_irl.cli.flags import JSONL_SPLIT
from keras_irl.cli.objectives import Objective
from keras_irl.types import Path
from keras_irl.types import Run
from keras_irl.version import __version__

# What is said otherwise, or says nothing of the results.
_NOT_TOLD = (
    "job",
    "output",
    "overwrite",
    "arguments",
    "path",
    "compilation_cache",
)
# What a flag means that was not given.
_NOT_GIVEN = {
    "num_train": "all",
    "num_test": "all",
    "metrics": "the task's",
    "max_prompt_length": "the policy's",
    "max_length": "the policy's",
}
_DIGEST_LENGTH = 16


def data_name(options: argparse.Namespace) -> str:
    """The name of the data for titles, or `""`."""
    return pathlib.Path(options.path).name if options.path else ""


def made_now() -> dict[str, str]:
    """Versions of the libraries that make a result, and the date.

    Returns:
        A dictionary of two texts.
    """
    import keras

    packages = ["keras", "keras-hub", keras.config.backend(), "numpy"]
    found = {"keras-irl": __version__}
    for package in packages:
        found[package] = importlib.metadata.version(package)
    found["python"] = platform.python_version()
    now = datetime.datetime.now(datetime.UTC)
    return {
        "versions": ", ".join(f"{k} {version}" for k, version in found.items()),
        "date": now.isoformat(timespec="seconds"),
    }


def settings(
    options: argparse.Namespace,
    found: dict[str, Any],
    made: Sequence[Run],
    *,
    split: str | None = None,
) -> dict[str, str]:
    """Provenance of a result: command, settings, data and versions.

    Args:
        options: What `parse_arguments` returns.
        found: Dictionary of what followed from the options and the data.
        made: List of what `made_now` returned, once for each run.
        split: The split of the task that was asked for, if any was.

    Returns:
        A dictionary from names to texts.
    """
    import keras

    backend = keras.config.backend()
    command = ["keras-irl", *options.arguments]
    if options.backend is None:
        command += ["--backend", backend]
    told = {
        name: value
        for name, value in vars(options).items()
        if name not in _NOT_TOLD
    }
    told |= {"backend": backend, **found}
    path = pathlib.Path(options.path).absolute() if options.path else "none"
    return {
        "command": shlex.join(command),
        "data path": str(path),
        "split": _split_note(options.task, split),
        **{
            name: _text(name, value)
            for name, value in told.items()
            if name != "split"
        },
        "versions": _different(one.get("versions") for one in made),
        "date": _different(one.get("date") for one in made),
    }


def digest_of_texts(*columns: Sequence[str | Sequence[str]]) -> str:
    """Digest of the texts of a task.

    A path says where texts are read, and not whether they are the same as
    before.

    Args:
        *columns: Sequences of strings, or of lists of strings.

    Returns:
        A string.
    """
    from keras_irl.runtime.progress import progress_bar

    digest = hashlib.sha256()
    for column in columns:
        digest.update(f"{len(column)} rows\n".encode())
        rows = range(len(column))
        for row in progress_bar(rows, "Reading texts", unit="row"):
            # One line a row, whatever stands in it.
            digest.update(f"{json.dumps(column[row])}\n".encode())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def digest_of_files(path: Path) -> str:
    """Digest of the files of a policy.

    Args:
        path: Path of a file, or of a folder with all that is in it.

    Returns:
        A string.
    """
    path = pathlib.Path(path)
    digest = hashlib.sha256()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            # A name on a disk need not be UTF-8.
            name = os.fsencode(file.relative_to(path))
            digest.update(name + f" {content}\n".encode())
    return digest.hexdigest()


def held_out_note(num_validation: int, asked: int | None) -> str:
    """Tells which prompts the curves of a training are of.

    Args:
        num_validation: The number of training prompts that were held out.
        asked: How many were asked for, or `None`.

    Returns:
        A text.
    """
    if num_validation:
        return (
            f"{num_validation} training prompts, of which the validation loss "
            "is, and by which the best weights are chosen"
        )
    from keras_irl.tasks.splits import FEWEST_PROMPTS

    why = "" if asked == 0 else f": there are fewer than {FEWEST_PROMPTS}"
    return f"no training prompts{why}; the curves are the test loss"


def training_note(run: Run, objective: Objective, validates: bool) -> str:
    """Tells in a sentence whether a policy was trained for too long.

    Args:
        run: A finished run.
        objective: Its `Objective`.
        validates: Whether its curve is that of held-out training prompts.

    Returns:
        A text.
    """
    which = "validation" if validates else "test"
    history = run["history"]
    losses = history["negative_log_likelihood"]
    last_step = history["step"][-1]
    best, best_step = run["best_negative_log_likelihood"], run["best_step"]
    kept = f"The weights of step {run['kept_step']} are judged."
    start = f"Seed {run['seed']}: the {which} loss was least"
    if objective.keeps_last:
        return f"{start} at step {best_step}, which is not its aim. {kept}"
    if best_step == last_step:
        return (
            f"{start} at the end, after {last_step} steps ({best:.4f}): more "
            f"may help. {kept}"
        )
    return (
        f"{start} at step {best_step} ({best:.4f}) and {losses[-1]:.4f} at the "
        f"end, after {last_step} steps: from there on it overfits. {kept}"
    )


def divergence_note(run: Run) -> str:
    """Tells in two sentences why a run is not judged.

    Args:
        run: A run that diverged.

    Returns:
        A text.
    """
    failed = run["failed"]
    numbers = "".join(
        f", {name}={value}" for name, value in failed["settings"].items()
    )
    return (
        f"Seed {run['seed']} diverged at step {failed['step']}: "
        f"{failed['problem']} (learning_rate={failed['learning_rate']}"
        f"{numbers}). It is not judged; {failed['policy']} holds its last "
        f"finite weights, of step {failed['kept_step']}."
    )


def _split_note(task, split):
    if task is None:
        return "none, all texts of the file"
    rule = "the task's own"
    if task == "jsonl":
        rule = JSONL_SPLIT
    return f"{split}; {rule}" if split else rule


def _different(texts):
    return "; ".join(sorted({text or "not known" for text in texts}))


def _text(name, value):
    if value is None:
        return _NOT_GIVEN.get(name, "none")
    if isinstance(value, dict):
        return ",".join(f"{axis}={size}" for axis, size in value.items())
    if isinstance(value, list | tuple):
        items = (x.text if isinstance(x, DecoderSpec) else x for x in value)
        return ",".join(map(str, items))
    return str(value)
