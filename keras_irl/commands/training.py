"""Trains with progress, test losses and checkpoints, and picks up again."""

import statistics
import time

import keras
import tqdm


def train(trainer, demonstrations, test_demonstrations, options, checkpoint):
    """Trains a policy for a number of steps.

    Args:
        trainer: A `keras_irl.Trainer`, not compiled.
        demonstrations: What to train on, a `Demonstrations`.
        test_demonstrations: What to compute the test loss of.
        options: What `parse_arguments` returns.
        checkpoint: A `Checkpoint` that may hold earlier steps.

    Returns:
        A dictionary of the final test loss, token entropy and seconds per
        step, and the history of test losses.
    """
    trainer.compile(
        keras.optimizers.Adam(_learning_rate(options), global_clipnorm=1.0)
    )
    every = options.evaluate_every or max(1, options.steps // 10)
    progress = checkpoint.restore(trainer)
    with tqdm.tqdm(
        total=options.steps,
        initial=progress["step"],
        desc=checkpoint.name,
        unit="step",
    ) as bar:
        watch = Watch(bar)
        while progress["step"] < options.steps:
            stop = min(progress["step"] + every, options.steps)
            trainer.fit(
                demonstrations.batches(progress["step"], stop),
                steps_per_epoch=stop - progress["step"],
                callbacks=[watch],
                shuffle=False,
                verbose=0,
            )
            progress["step"] = stop
            _evaluate(trainer, test_demonstrations, progress)
            progress["step_times"] += watch.take()
            checkpoint.save(trainer, progress)
    return _summary(progress)


def _learning_rate(options):
    peak, warm_up = options.learning_rate, options.learning_rate_warm_up
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warm_up else peak,
        decay_steps=max(1, options.steps - warm_up),
        alpha=options.final_learning_rate,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def _evaluate(trainer, demonstrations, progress):
    logs = trainer.evaluate(demonstrations, verbose=0, return_dict=True)
    history = progress["history"]
    history["step"].append(progress["step"])
    for name in ("negative_log_likelihood", "entropy", "token_accuracy"):
        history[name].append(logs[name])


def _summary(progress):
    history = progress["history"]
    return {
        "negative_log_likelihood": history["negative_log_likelihood"][-1],
        "best_negative_log_likelihood": min(history["negative_log_likelihood"]),
        "token_entropy": history["entropy"][-1],
        "token_accuracy": history["token_accuracy"][-1],
        "seconds_per_step": statistics.median(progress["step_times"]),
        "history": history,
    }


class Watch(keras.callbacks.Callback):
    """Moves a progress bar, and takes the time of the steps.

    Args:
        bar: A `tqdm.tqdm`.
    """

    def __init__(self, bar):
        super().__init__()
        self.bar = bar
        self.times = []
        self.last = None

    def on_epoch_begin(self, epoch, logs=None):
        self.last = None

    def on_train_batch_begin(self, batch, logs=None):
        # Only the first of an epoch; the others begin where one ended.
        if self.last is None:
            self.last = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        # Reading a number waits for the step, which runs in the background.
        loss = float(logs["loss"])
        now = time.perf_counter()
        self.times.append(now - self.last)
        self.last = now
        self.bar.update()
        self.bar.set_postfix(loss=f"{loss:.3f}", refresh=False)

    def take(self):
        """Returns the times since the last call."""
        times, self.times = self.times, []
        return times
