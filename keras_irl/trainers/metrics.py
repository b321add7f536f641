"""Means over all tokens of an epoch, whatever the batches they came in."""

import keras
from keras import ops


class MaskedMean(keras.metrics.Metric):
    """The sum of a quantity over the tokens seen, divided by their number.

    Args:
        name: Name of the metric.
    """

    def __init__(self, name):
        super().__init__(name=name, dtype="float32")
        self.total = self.add_variable((), initializer="zeros", name="total")
        self.count = self.add_variable((), initializer="zeros", name="count")

    def add(self, total, count):
        """Adds the tokens of a batch.

        Args:
            total: Scalar tensor, the sum over the tokens that count.
            count: Scalar tensor, their number.
        """
        self.total.assign_add(ops.stop_gradient(total))
        self.count.assign_add(count)

    def result(self):
        return ops.divide_no_nan(self.total, self.count)


class Perplexity(MaskedMean):
    """The exponential of the mean negative log-likelihood.

    Its `add` takes negative log-likelihoods, in nats.

    Args:
        name: Name of the metric.
    """

    def result(self):
        return ops.exp(super().result())
