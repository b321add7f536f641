"""A replay buffer of past rollouts."""

import keras
from keras import ops

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.families.family import layout_of
from keras_irl.ops import is_action


class ReplayBuffer(keras.layers.Layer):
    """Keeps the last rollouts, and picks from them at random.

    It is made of weights, so it is saved and restored with the trainer.

    Args:
        buffer_size: The number of rollouts that it holds. Newer ones take the
            place of the oldest.
        policy: The language model that writes them; its preprocessor knows
            how wide they are.
        seed: Seed of the picks.

    Raises:
        ValueError: If a number is no integer, or out of its bounds.
    """

    def __init__(self, buffer_size, policy, seed):
        super().__init__(name="replay_buffer", trainable=False)
        self.buffer_size = check_integer("buffer_size", buffer_size, least=1)
        seed = check_integer("seed", seed, most=LARGEST_SEED)
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Keras saves the variables that it finds in attributes, no generators.
        self.seed_state = [self.seed_generator.state]
        self.num_kept = self._kept("num_kept", (), "int32")
        self.next_place = self._kept("next_place", (), "int32")
        inputs, width = _inputs(policy)
        rows = {
            name: self._kept(name, (buffer_size, *shape), dtype)
            for name, (shape, dtype) in inputs.items()
        }
        shape = (buffer_size, width)
        actions = self._kept("actions", shape, "int32")
        mask = self._kept("mask", shape, "float32")
        self.rows = rows
        self.actions = actions
        self.mask = mask
        self.built = True

    def _kept(self, name, shape, dtype):
        return self.add_weight(
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            name=name,
            autocast=False,
        )

    def exchange(self, inputs, actions, mask):
        """Takes rollouts in, and gives as many back, from all that it holds.

        Args:
            inputs: Dictionary of tensors, of N rollouts.
            actions: Integer tensor of shape `(N, T)`.
            mask: Float32 tensor of shape `(N, T)`.

        Returns:
            A list of the same three. A rollout may be given back twice.

        Raises:
            ValueError: If they are of another width than the policy's
                preprocessor makes.
        """
        kept = ({n: self.rows[n] for n in inputs}, self.actions, self.mask)
        kept = keras.tree.flatten(kept)
        new = keras.tree.flatten((inputs, actions, mask))
        for variable, tensor in zip(kept, new, strict=True):
            _check_width(variable, tensor)
        num_rows = actions.shape[0]
        if num_rows is not None and num_rows > self.buffer_size:
            raise ValueError(
                "A buffer of rollouts must hold those of a batch at least. "
                f"Received: buffer_size={self.buffer_size} for {num_rows} "
                "rollouts a batch"
            )
        num_new = self._store(kept, new, ops.any(is_action(mask), axis=1))
        self.next_place.assign((self.next_place + num_new) % self.buffer_size)
        self.num_kept.assign(
            ops.minimum(self.num_kept + num_new, self.buffer_size)
        )
        return self._pick(kept, ops.shape(actions)[0], (inputs, actions, mask))

    def _store(self, kept, new, is_text):
        """Puts those rows in that are a text, and tells how many they are."""
        is_text = ops.cast(is_text, "int32")
        num_new = ops.sum(is_text)
        # Rows that only fill a batch come last, and are left out.
        order = ops.argsort(1 - is_text)
        places = ops.arange(self.buffer_size, dtype="int32")
        source = (places - self.next_place) % self.buffer_size
        is_new = source < num_new
        last = ops.cast(ops.shape(is_text)[0], "int32") - 1
        rows = ops.take(order, ops.minimum(source, last), axis=0)
        for variable, tensor in zip(kept, new, strict=True):
            tensor = ops.take(ops.cast(tensor, variable.dtype), rows, axis=0)
            old = ops.convert_to_tensor(variable)
            variable.assign(ops.where(is_new[:, None], tensor, old))
        return num_new

    def _pick(self, kept, num_rows, like):
        uniform = keras.random.uniform((num_rows,), seed=self.seed_generator)
        num_kept = ops.convert_to_tensor(self.num_kept)
        places = ops.floor(uniform * ops.cast(num_kept, "float32"))
        # Rounded up, a uniform number may be 1.
        places = ops.minimum(ops.cast(places, "int32"), num_kept - 1)
        places = ops.maximum(places, 0)
        picked = [
            ops.take(ops.convert_to_tensor(variable), places, axis=0)
            for variable in kept
        ]
        return list(keras.tree.pack_sequence_as(like, picked))


def _inputs(policy):
    """Names, shapes and types of what the policy reads, and the width."""
    layout = layout_of(policy)
    windows = layout.windows(policy.preprocessor)
    width = windows[layout.window]
    inputs = {}
    # Keras has no weights of booleans on all backends.
    if layout.has_encoder:
        prompt_width = windows[layout.prompt_window]
        for name in layout.prompt_inputs:
            inputs[name] = (prompt_width,), "int32"
    for name in (layout.token_ids, layout.padding_mask):
        inputs[name] = (width,), "int32"
    if "position_ids" in policy.input:
        inputs["position_ids"] = (width,), "int32"
    return inputs, width


def _check_width(variable, tensor):
    if variable.shape[1:] != tuple(tensor.shape[1:]):
        raise ValueError(
            "A buffer of rollouts is as wide as the policy's preprocessor "
            "makes texts, and batches must be too: set the preprocessor's "
            "sequence lengths before making the trainer, and leave out "
            "`max_length`. Received: batches of shape "
            f"{tuple(tensor.shape)} for {variable.name} of shape "
            f"{tuple(variable.shape)}"
        )
