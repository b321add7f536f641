"""What a comparison was made with, and what to know of its policies."""

import importlib.metadata
import pathlib
import platform
import shlex

import keras

from keras_irl.commands.training import evaluation_interval
from keras_irl.version import __version__

# What is said otherwise, or says nothing of the results.
_NOT_TOLD = ("job", "output", "overwrite", "arguments", "path")
_SPLITS = {
    "jsonl": (
        "of a file, the tenth of its prompts with the smallest hashes is the "
        "test split; of a folder with test.jsonl, that file"
    )
}


def data_name(options):
    """The name of the data for titles, or `""`."""
    return pathlib.Path(options.path).name if options.path else ""


def versions():
    """The versions that a run was made with, as a text."""
    packages = ["keras", "keras-hub", keras.config.backend(), "numpy"]
    found = {"keras-irl": __version__}
    for package in packages:
        found[package] = importlib.metadata.version(package)
    found["python"] = platform.python_version()
    return ", ".join(f"{name} {version}" for name, version in found.items())


def settings(options, found, runs):
    """Lists what another comparison needs to come out alike.

    Args:
        options: What `parse_arguments` returns.
        found: Dictionary of what followed from the options and the data.
        runs: List of all runs.

    Returns:
        A dictionary from names to texts.
    """
    backend = keras.config.backend()
    command = ["keras-irl", *options.arguments]
    if options.backend is None:
        command += ["--backend", backend]
    told = {
        name: value
        for name, value in vars(options).items()
        if name not in _NOT_TOLD
    }
    told |= {
        "backend": backend,
        "evaluate_every": evaluation_interval(options),
        "gail_steps": options.gail_steps or options.steps,
        **found,
    }
    path = "none" if options.path is None else pathlib.Path(options.path)
    return {
        "command": shlex.join(command),
        "data path": str(path.absolute() if options.path else path),
        "split": _SPLITS.get(options.task, "the task's own"),
        **{name: _text(value) for name, value in told.items()},
        "optimizer": "Adam, gradients clipped to a global norm of 1",
        "schedule": (
            "linear warm-up from 0, then a cosine to final_learning_rate; "
            "gail's stays where the warm-up ends"
        ),
        "versions": _different(run.get("versions") for run in runs),
        "date": _different(run.get("date") for run in runs),
    }


def training_note(run, objective, validates):
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


def divergence_note(run):
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


def check_kept(run):
    """Checks that a run that was read from a file can be told of.

    Args:
        run: What was read.

    Raises:
        ValueError: If something is missing.
    """
    needed = ("seed", "rows", "samples")
    if "failed" not in run:
        needed += (
            *("negative_log_likelihood", "best_negative_log_likelihood"),
            *("best_step", "kept_step", "history"),
        )
    _require(run, needed)
    if "failed" in run:
        _require(
            run["failed"],
            (
                *("problem", "step", "kept_step", "policy"),
                *("learning_rate", "settings"),
            ),
        )
    else:
        _require(run["history"], ("step", "negative_log_likelihood"))


def _require(dictionary, names):
    names = [name for name in names if name not in dictionary]
    if names:
        raise ValueError(
            f"The run lacks {', '.join(names)}. "
            f"Received: the entries {sorted(dictionary)}"
        )


def _different(texts):
    return "; ".join(sorted({text or "not known" for text in texts}))


def _text(value):
    if value is None:
        return "all"
    if isinstance(value, list | tuple):
        # Of a decoder, the text that it was read from.
        items = (x[0] if isinstance(x, tuple) else x for x in value)
        return ",".join(map(str, items))
    return str(value)
