"""Settings and remarks that the report of a comparison states."""

from keras_irl.cli import report_settings
from keras_irl.cli.training import evaluation_interval


def settings(options, found, runs):
    """Lists what another comparison needs to come out alike.

    Args:
        options: What `parse_arguments` returns.
        found: Dictionary of what followed from the options and the data.
        runs: List of all runs.

    Returns:
        A dictionary from names to texts.
    """
    found = {
        "evaluate_every": evaluation_interval(options),
        "gail_steps": options.gail_steps or options.steps,
        **found,
        "optimizer": "Adam, gradients clipped to a global norm of 1",
        "schedule": (
            "linear warm-up from 0, then a cosine to final_learning_rate; "
            "gail's stays where the warm-up ends"
        ),
    }
    return report_settings.settings(options, found, runs)


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
