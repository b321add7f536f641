"""Demonstrations, as the `fit` of Keras takes them."""

from keras_irl.data.dataset import Demonstrations
from keras_irl.trainers.epoch_stream import stream_epochs


def stream(x, arguments, initial_epoch, epochs):
    """Makes the data of a `fit` what Keras reads in the right order.

    Args:
        x: What `fit` was given to train on.
        arguments: A dictionary of its other arguments.
        initial_epoch: The first epoch, counted from 0.
        epochs: The epoch to stop before.

    Returns:
        A tuple of `x` and of the arguments; demonstrations are streams.
    """
    arguments = dict(arguments)
    if isinstance(x, Demonstrations):
        # Each epoch in an order of its own; Keras would repeat the first.
        x, arguments = stream_epochs(x, initial_epoch, epochs, arguments)
    validation_data = arguments.get("validation_data")
    if isinstance(validation_data, Demonstrations):
        arguments.setdefault("validation_steps", len(validation_data))
        # Keras keeps one iterator for the validations of all epochs.
        arguments["validation_data"] = validation_data.batches()
    return x, arguments
