"""One optimizer for each of several networks that are trained in one step."""

import keras

from keras_irl.trainers.head_start import HeadStart


class NetworkOptimizers(keras.optimizers.MultiOptimizer):
    """Hands each variable to the optimizer of its network.

    Variables are known by themselves: networks of one architecture have
    variables of the same names. The first network is the one that others may
    have a head start on: until it has a gradient, its optimizer is left alone.

    Args:
        optimizers: List of `keras.optimizers.Optimizer`s, one a network.
        networks: List of as many `keras.Model`s. A variable of two networks is
            that of the first.

    Raises:
        ValueError: If two networks have the same optimizer.
    """

    def __init__(self, optimizers, networks):
        if len({id(optimizer) for optimizer in optimizers}) < len(optimizers):
            raise ValueError(
                "Each network needs an optimizer of its own, which keeps its "
                "moments. Pass another instance. Received: the same optimizer "
                "for several networks"
            )
        starting = [HeadStart(optimizers[0]), *optimizers[1:]]
        owners = {}
        for optimizer, network in zip(starting, networks, strict=True):
            for variable in network.trainable_variables:
                owners.setdefault(id(variable), optimizer)
        super().__init__(lambda variable: owners[id(variable)])

    def get_config(self):
        # Which variable is whose can't be written down; `GAIL` knows it.
        return {"name": self.name}

    def save_own_variables(self, store):
        # Keras saves the optimizers of the networks by themselves.
        store["iterations"] = self.iterations.numpy()

    def load_own_variables(self, store):
        self.iterations.assign(store["iterations"])
