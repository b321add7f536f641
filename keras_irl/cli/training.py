"""Training with an optimizer, progress, validation losses and checkpoints.

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

from keras_irl.cli.checkpoints import RunCheckpoint
from keras_irl.cli.training_flags import DECAY_OF_ADAMW
from keras_irl.cli.training_flags import OPTIMIZERS
from keras_irl.data import Demonstrations
from keras_irl.trainers import Trainer

_CURVES = ("negative_log_likelihood", "entropy", "token_accuracy")


class DivergedError(Exception):
    """A training whose numbers are no longer finite.

    The policy is left with the last finite weights.

    Args:
        problem: What is not finite, such as `"the loss is nan"`.
        step: The step it was found at, counted from 1.
        kept_step: The step after which the policy was as it is left.
    """

    def __init__(self, problem: str, step: int, kept_step: int) -> None:
        super().__init__(f"{problem} at step {step}")
        self.problem = problem
        self.step = step
        self.kept_step = kept_step


def train(
    trainer: Trainer,
    demonstrations: Demonstrations,
    held_out: Demonstrations,
    options: argparse.Namespace,
    *,
    checkpoint: RunCheckpoint,
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
    first = None if checkpoint.exists() else trainer.policy.get_weights()
    kept = checkpoint.callback(every, keeps_best)
    with tqdm.tqdm(
        total=options.steps, desc=checkpoint.name, unit="step"
    ) as bar:
        watch = Watch(bar, every, first)
        try:
            for data in _intervals(demonstrations, every, options.steps):
                history = trainer.fit(
                    **data,
                    validation_data=held_out,
                    callbacks=[watch, kept],
                    shuffle=False,
                    verbose=0,
                ).history
                watch.check_end()
        except _StoppedError as error:
            step = watch.step + bool(watch.problem)
            kept_step = watch.step
            if not watch.problem or not _is_finite(trainer):
                kept_step = _go_back(trainer, kept, watch.first)
            raise DivergedError(f"{error}", step, kept_step) from None
        watch.show(options.steps)
    return _progress(trainer, history, kept if keeps_best else None, options)


def _intervals(demonstrations, every, steps):
    """The epochs of a training: whole intervals, and what is left of one.

    A batch is a function of the step alone, so that a training that was
    stopped goes on with those that are left.
    """
    whole, rest = divmod(steps, every)
    if whole:
        yield {"x": demonstrations, "steps_per_epoch": every, "epochs": whole}
    if rest:
        yield {
            "x": demonstrations.batches(whole * every, steps),
            "steps_per_epoch": rest,
            "initial_epoch": whole,
            "epochs": whole + 1,
        }


def _progress(trainer, history, kept, options):
    """The results of a whole training, whose best weights are put back."""
    every, steps = evaluation_interval(options), options.steps
    curves = {name: history[f"val_{name}"] for name in _CURVES}
    ends = range(1, len(curves[_CURVES[0]]) + 1)
    progress = {
        "history": {"step": [min(n * every, steps) for n in ends], **curves},
        "step_times": history["seconds_per_step"],
        "kept_step": steps,
    }
    if kept is not None and _best(progress)[0] != steps:
        progress["kept_step"] = kept.load_best(trainer)
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
    trainer: Trainer, demonstrations: Demonstrations, progress: dict[str, Any]
) -> dict[str, Any]:
    """Summarizes a training: final loss, entropy and validation losses.

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


def _problem(trainer, loss):
    """Description of what is not finite after an interval, or `None`."""
    if not _is_finite(trainer):
        return "the weights are not finite"
    if not math.isfinite(loss):
        return f"the loss on held-out texts is {loss}"
    return None


def _is_finite(trainer):
    # One number of each, or one of NaN would do.
    return all(
        bool(ops.all(ops.isfinite(variable)))
        for variable in trainer.trainable_variables
    )


def _go_back(trainer, kept, first):
    """Goes back to what was kept last, and returns its step."""
    step = kept.load_newest(trainer)
    if step is None:
        trainer.policy.set_weights(first)
        return 0
    return step


def _best(progress):
    """The step of the least loss on held-out texts, and this loss."""
    history = progress["history"]
    losses = history["negative_log_likelihood"]
    best = min(losses)
    return history["step"][losses.index(best)], best


class _StoppedError(Exception):
    """A training that stopped because a number is no longer finite."""


class Watch(keras.callbacks.Callback):
    """Callback of the progress bar, the step times and diverged losses.

    Args:
        bar: A `tqdm.tqdm`.
        every: The number of steps of an epoch.
        first: What a divergence goes back to until something is kept.

    Attributes:
        step: The number of steps so far, in earlier processes as well.
        problem: What is wrong with the loss of the next, or `None`.
    """

    def __init__(self, bar: tqdm.tqdm, every: int, first: Any = None) -> None:
        super().__init__()
        self.bar = bar
        self.every = every
        self.first = first
        self.step = 0
        self.problem: str | None = None
        self._epoch = 0
        self._times: list[float] = []
        self._last: Any = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._last = None
        if epoch:
            self.first = None

    def on_train_batch_begin(self, batch: Any, logs: Any = None) -> None:
        self.show(self._epoch * self.every + batch)
        # Only the first of an epoch; the others begin where one ended.
        if self._last is None:
            self._last = time.perf_counter()

    def show(self, step: int) -> None:
        """Moves the progress bar to a step, also of an earlier process.

        Args:
            step: The number of steps so far.
        """
        self.step = step
        if self.bar.n != step:
            self.bar.initial = self.bar.n = step
            self.bar.refresh()

    def on_train_batch_end(self, batch: Any, logs: Any = None) -> None:
        # Reading a number waits for the step, which runs in the background.
        loss, norm = (float(logs[name]) for name in ("loss", "gradient_norm"))
        for what, value in (("loss", loss), ("norm of the gradient", norm)):
            if not math.isfinite(value):
                self.problem = f"the {what} is {value}"
                self.model.stop_training = True
                return
        now = time.perf_counter()
        self._times.append(now - self._last)
        self._last = now
        self.step += 1
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.problem is not None:
            return
        # Raised before the checkpoint is told, which would keep it.
        problem = _problem(self.model, logs["val_negative_log_likelihood"])
        if problem is not None:
            raise _StoppedError(problem)
        logs["seconds_per_step"] = statistics.median(self._times)
        self._times = []

    def check_end(self) -> None:
        """Checks that a `fit` has ended well.

        Raises:
            _StoppedError: If it has not.
        """
        problem = self.problem
        if problem is None and self.model.not_finite is not None:
            problem = "a gradient or the learning rate is not finite"
        if problem is not None:
            raise _StoppedError(problem)


def make_optimizer(options: argparse.Namespace) -> keras.optimizers.Optimizer:
    """Makes the optimizer of a training.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A `keras.optimizers.Optimizer`.
    """
    settings = {"global_clipnorm": 1.0}
    if options.accumulation_steps > 1:
        settings["gradient_accumulation_steps"] = options.accumulation_steps
    decay = options.weight_decay
    if decay is None and options.optimizer == "adamw":
        decay = DECAY_OF_ADAMW
    if decay:
        settings["weight_decay"] = decay
    if options.optimizer == "adafactor":
        # Or its steps would shrink besides what the schedule says.
        settings["relative_step"] = False
    kind = vars(keras.optimizers)[OPTIMIZERS[options.optimizer]]
    return kind(learning_rate(options), **settings)


def learning_rate(
    options: argparse.Namespace,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Makes the schedule of the learning rate, a function of the updates.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A `keras.optimizers.schedules.LearningRateSchedule`.
    """
    peak, warm_up = options.learning_rate, options.learning_rate_warm_up
    num_updates = options.steps // options.accumulation_steps
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warm_up else peak,
        decay_steps=max(1, num_updates - warm_up),
        alpha=options.final_learning_rate,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def optimizer_in_words(options: argparse.Namespace) -> str:
    """Names the optimizer as reports do.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A text.
    """
    text = OPTIMIZERS[options.optimizer]
    if options.accumulation_steps > 1:
        text += f" on {options.accumulation_steps} batches an update"
    return f"{text}, gradients clipped to a global norm of 1"
