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

    def on_train_begin(self, logs=None):
        # TensorFlow would call a trainer unbuilt until its first batch, and
        # `BackupAndRestore` would refuse it. All weights are there.
        self.model.built = True

    def on_epoch_begin(self, epoch, logs=None):
        self.stream.epoch = epoch


def stream_epochs(demonstrations, initial_epoch, num_epochs, arguments):
    """Makes the stream of a `fit`.

    Args:
        demonstrations: A `Demonstrations`.
        initial_epoch: The epoch to start with, unless a callback moves it.
        num_epochs: The epoch to stop before, counted from 0.
        arguments: Dictionary of other arguments of `fit`.

    Returns:
        A tuple of the stream, and of the arguments to go with it.
    """
    num_steps = arguments.get("steps_per_epoch") or len(demonstrations)
    stream = EpochStream(demonstrations, num_steps, num_epochs, initial_epoch)
    callbacks = with_callbacks([EpochTeller(stream)], arguments)
    return stream, {
        "shuffle": False,
        **arguments,
        "steps_per_epoch": num_steps,
        "callbacks": callbacks,
    }


def with_callbacks(callbacks, arguments):
    """Adds callbacks to those of a `fit`.

    Args:
        callbacks: List of callbacks.
        arguments: Dictionary of arguments of `fit`.

    Returns:
        What to pass as `callbacks`.
    """
    others = arguments.get("callbacks")
    if isinstance(others, keras.callbacks.CallbackList):
        for callback in callbacks:
            others.append(callback)
        return others
    # First, so that the others find their logs.
    others = [] if others is None else keras.tree.flatten(others)
    return [*callbacks, *others]
