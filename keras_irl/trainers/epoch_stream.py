"""The batches of a training, from the epoch that it really starts with."""

import grain
import keras


class EpochStream(grain.IterDataset):
    """Streams demonstrations through the epochs of a `fit`.

    Each epoch has an order of its own. Which one comes first, Keras knows only
    when it begins: `keras.callbacks.BackupAndRestore` moves a training that was
    interrupted to the epoch where it stopped, after `fit` was given its data.

    Args:
        demonstrations: A `Demonstrations`.
        num_steps: Number of batches an epoch.
        num_epochs: The epoch to stop before, counted from 0.
        epoch: The epoch to start with, as far as it is known.
    """

    def __init__(self, demonstrations, num_steps, num_epochs, epoch):
        super().__init__()
        self.demonstrations = demonstrations
        self.num_steps = num_steps
        self.num_epochs = num_epochs
        self.epoch = epoch

    def __iter__(self):
        start, stop = (
            epoch * self.num_steps for epoch in (self.epoch, self.num_epochs)
        )
        return iter(self.demonstrations.batches(start, stop))


class EpochTeller(keras.callbacks.Callback):
    """Tells a stream which epoch begins.

    Keras begins to iterate over its data after that, and does so once.

    Args:
        stream: An `EpochStream`.
    """

    def __init__(self, stream):
        super().__init__()
        self.stream = stream

    def on_epoch_begin(self, epoch, logs=None):
        self.stream.epoch = epoch


def stream_epochs(demonstrations, arguments):
    """Makes the stream of a `fit`.

    Args:
        demonstrations: A `Demonstrations`.
        arguments: Dictionary of the arguments of `fit`, among them
            `steps_per_epoch`.

    Returns:
        A dictionary of arguments, with the stream as `x`.
    """
    stream = EpochStream(
        demonstrations,
        arguments["steps_per_epoch"],
        arguments.get("epochs", 1),
        arguments.get("initial_epoch", 0),
    )
    return {
        "shuffle": False,
        **arguments,
        "x": stream,
        "callbacks": with_callbacks(
            [EpochTeller(stream)], arguments.get("callbacks")
        ),
    }


def with_callbacks(callbacks, others):
    """Adds callbacks to those of a `fit`.

    Args:
        callbacks: List of callbacks.
        others: What `fit` was given.

    Returns:
        What to pass as `callbacks`.
    """
    if isinstance(others, keras.callbacks.CallbackList):
        for callback in callbacks:
            others.append(callback)
        return others
    # First, so that the others find their logs.
    others = [] if others is None else keras.tree.flatten(others)
    return [*callbacks, *others]
