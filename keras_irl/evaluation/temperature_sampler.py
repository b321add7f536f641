"""Greedy decoding and sampling at any temperature, compiled as one."""

import keras
import keras_hub
import numpy as np
from keras import ops


class TemperatureSampler(keras_hub.samplers.Sampler):
    """Draws tokens from `softmax(logits / temperature)`.

    With gᵢ independent standard Gumbel variables and a temperature τ,

        a = argmaxᵢ (logitsᵢ + τ gᵢ)   is distributed as   softmax(logits / τ)

    and at τ = 0 it is the argmax itself, with no second path to compile.
    The temperature and the random state are variables that a compiled
    function reads, not constants that it was compiled with. The variable
    `num_broken_states` counts the states without a distribution over next
    tokens: those whose logits are NaN, +∞, or all −∞.
    """

    def __init__(self):
        super().__init__()
        self.temperature = keras.Variable(1.0, dtype="float32", trainable=False)
        self.num_broken_states = keras.Variable(
            0, dtype="int32", trainable=False
        )
        self.seed_generator = keras.random.SeedGenerator(seed=0)

    @property
    def variables(self):
        """All state that a compiled function reads and writes."""
        return [*super().variables, self.temperature, self.num_broken_states]

    def prepare(self, temperature, seed):
        """Sets the temperature, and the seed: a tuple of integers >= 0."""
        # PyTorch adds the parts of Keras's random state up, so that seeds
        # next to each other would share their streams; mixed ones do not.
        mixed = np.random.SeedSequence(seed).generate_state(1)[0] >> 1
        self.seed_generator.state.assign(np.array([mixed, 0]))
        self.temperature.assign(temperature)
        self.num_broken_states.assign(0)

    def compute_probabilities(self, logits):
        """Hands the logits on: the noise belongs on them."""
        return ops.cast(logits, "float32")

    def get_next_token(self, logits):
        """Draws a token for every row of logits, `(B, V)`."""
        broken = ops.logical_not(ops.isfinite(ops.logsumexp(logits, axis=-1)))
        self.num_broken_states.assign_add(ops.sum(ops.cast(broken, "int32")))
        # Above 0, or a Gumbel variable were infinite and 0 times it NaN.
        uniform = keras.random.uniform(
            ops.shape(logits),
            minval=1e-30,
            dtype="float32",
            seed=self.seed_generator,
        )
        gumbel = -ops.log(-ops.log(uniform))
        return ops.argmax(logits + self.temperature * gumbel, axis=-1)
