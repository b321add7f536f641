"""Training with progress, validation losses and checkpoints.

A training that was stopped goes on from its checkpoint; one that diverges ends
with its last finite weights.
"""

import argparse
import math
import statistics
import time
from typing import Any

import keras
import tqdm
from keras import ops

from keras_irl.cli.optimizer import make_optimizer
from keras_irl.keras_seams import batch_count

_CURVES = ("negative_log_likelihood", "entropy", "token_accuracy")


class DivergedError(Exception):
    """A training whose numbers are no longer finite.

    The policy is left with the last finite weights.

    Args:
        problem: What is not finite, such as `"the loss is nan"`.
        step: The step it was found at, counted from 1.
        kept_step: The step after which the policy was as it is left.
    """

    def __init__(self, problem: Any, step: Any, kept_step: Any) -> None:
        super().__init__(f"{problem} at step {step}")
        self.problem = problem
        self.step = step
        self.kept_step = kept_step


def train(
    trainer: Any,
    demonstrations: Any,
    held_out: Any,
    options: argparse.Namespace,
    *,
    checkpoint: Any,
    keeps_best: bool = False,
) -> dict[str, Any]:
    """Trains a policy for a number of steps.

    Args:
        trainer: A `keras_irl.Trainer`, not compiled.
        demonstrations: What to train on, a `Demonstrations`.
        held_out: What to compute the losses on the way of.
        options: What `parse_arguments` returns.
        checkpoint: A `RunCheckpoint` that may hold earlier steps.
        keeps_best: Whether the policy ends with the weights of the least loss
            on the held-out texts, and not with the last. Defaults to `False`.

    Returns:
        A dictionary of the `history` of losses, the times of the steps, and
        the `kept_step`, whose weights the policy has.

    Raises:
        DivergedError: If a loss or a weight is not finite.
        KeyboardInterrupt: If somebody stops the training. Its whole steps are
            kept.
    """
    trainer.compile(make_optimizer(options))
    every = evaluation_interval(options)
    progress = checkpoint.restore(trainer)
    # Until there is a checkpoint, what a divergence goes back to.
    first = None if progress["step"] else trainer.policy.get_weights()
    with tqdm.tqdm(
        total=options.steps,
        initial=progress["step"],
        desc=checkpoint.name,
        unit="step",
    ) as bar:
        watch = Watch(bar)
        while progress["step"] < options.steps:
            # The same stops, wherever a training was picked up again.
            stop = (progress["step"] // every + 1) * every
            stop = min(stop, options.steps)
            _fit(trainer, demonstrations, progress, stop, watch, checkpoint)
            if progress["step"] == stop and not watch.problem:
                _evaluate(trainer, held_out, progress)
            problem = watch.problem or _problem(trainer, progress)
            if problem:
                step = progress["step"] + bool(watch.problem)
                kept = progress["step"]
                if not watch.problem or not _is_finite(trainer):
                    kept = _go_back(trainer, checkpoint, first)
                raise DivergedError(problem, step, kept)
            progress["best_step"] = _best(progress)[0] if keeps_best else None
            checkpoint.save(trainer, progress)
            first = None
    progress["kept_step"] = progress["step"]
    if keeps_best and progress["best_step"] != progress["step"]:
        checkpoint.load_weights(trainer, progress["best_step"])
        progress["kept_step"] = progress["best_step"]
    return progress


def evaluation_interval(options: argparse.Namespace) -> int:
    """The number of steps between losses on held-out texts.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        Integer.
    """
    return options.evaluate_every or max(1, options.steps // 10)


def summarize(
    trainer: Any, demonstrations: Any, progress: Any
) -> dict[str, Any]:
    """Tells how a training ended.

    Args:
        trainer: The trainer, as `train` left it.
        demonstrations: What to compute the final loss of, a `Demonstrations`
            that no choice was made by.
        progress: What `train` returned.

    Returns:
        A dictionary of the final loss, token entropy and seconds per step,
        and the history of the losses on held-out texts.
    """
    logs = trainer.evaluate(demonstrations, verbose=0, return_dict=True)
    best_step, best = _best(progress)
    return {
        "negative_log_likelihood": logs["negative_log_likelihood"],
        "best_negative_log_likelihood": best,
        "token_entropy": logs["entropy"],
        "token_accuracy": logs["token_accuracy"],
        "seconds_per_step": statistics.median(progress["step_times"]),
        "best_step": best_step,
        "kept_step": progress["kept_step"],
        "history": progress["history"],
    }


def _fit(trainer, demonstrations, progress, stop, watch, checkpoint):
    """Trains up to a step, unless the loss diverges or somebody stops it."""
    start, before = progress["step"], _counts(trainer)
    try:
        trainer.fit(
            demonstrations.batches(start, stop),
            steps_per_epoch=stop - start,
            callbacks=[watch],
            shuffle=False,
            verbose=0,
        )
    except KeyboardInterrupt:
        steps = _whole_steps(trainer, before)
        if steps:
            progress["step"] += steps
            progress["step_times"] += watch.take()
            checkpoint.save(trainer, progress)
        raise
    times = watch.take()
    progress["step"] += len(times)
    progress["step_times"] += times


def _counts(trainer):
    """Counts of batches: the loss before an update, its optimizer after."""
    counted = ops.convert_to_numpy(batch_count(trainer.policy_optimizer))
    return [trainer.counter.num_batches, int(counted)]


def _whole_steps(trainer, before):
    """Number of steps of an interrupted training, 0 if one was torn."""
    try:
        steps, updates = (
            now - then
            for now, then in zip(_counts(trainer), before, strict=True)
        )
        return steps if steps == updates and _is_finite(trainer) else 0
    # What a torn step leaves may not even be readable.
    except Exception:
        return 0


def _evaluate(trainer, demonstrations, progress):
    logs = trainer.evaluate(demonstrations, verbose=0, return_dict=True)
    history = progress["history"]
    history["step"].append(progress["step"])
    for name in _CURVES:
        history[name].append(logs[name])


def _problem(trainer, progress):
    """Description of what is not finite after some steps, or `None`."""
    if trainer.not_finite is not None:
        return "a gradient or the learning rate is not finite"
    if not _is_finite(trainer):
        return "the weights are not finite"
    for loss in progress["history"]["negative_log_likelihood"][-1:]:
        if not math.isfinite(loss):
            return f"the loss on held-out texts is {loss}"
    return None


def _is_finite(trainer):
    # One number of each, or one of NaN would do.
    return all(
        bool(ops.all(ops.isfinite(variable)))
        for variable in trainer.trainable_variables
    )


def _go_back(trainer, checkpoint, first):
    """Goes back to what was kept last, and returns its step."""
    if first is None:
        return checkpoint.restore(trainer)["step"]
    trainer.policy.set_weights(first)
    return 0


def _best(progress):
    """The step of the least loss on held-out texts, and this loss."""
    history = progress["history"]
    losses = history["negative_log_likelihood"]
    if not losses:
        return None, None
    best = min(losses)
    return history["step"][losses.index(best)], best


class Watch(keras.callbacks.Callback):
    """Moves a progress bar, takes the time of steps, and sees a bad loss.

    Args:
        bar: A `tqdm.tqdm`.

    Attributes:
        problem: What is wrong with the loss, or `None`.
    """

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self.bar = bar
        self.times = []
        self.last: Any = None
        self.problem = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.last = None

    def on_train_batch_begin(self, batch: Any, logs: Any = None) -> None:
        # Only the first of an epoch; the others begin where one ended.
        if self.last is None:
            self.last = time.perf_counter()

    def on_train_batch_end(self, batch: Any, logs: Any = None) -> None:
        # Reading a number waits for the step, which runs in the background.
        loss, norm = (float(logs[name]) for name in ("loss", "gradient_norm"))
        for what, value in (("loss", loss), ("norm of the gradient", norm)):
            if not math.isfinite(value):
                self.problem = f"the {what} is {value}"
                self.model.stop_training = True
                return
        now = time.perf_counter()
        self.times.append(now - self.last)
        self.last = now
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def take(self) -> Any:
        """Returns the times since the last call."""
        times, self.times = self.times, []
        return times
