"""Rollouts of the policy inside a training step, and a buffer of past ones."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.data.texts import Texts
from keras_irl.error_texts import shortened
from keras_irl.families.family import layout_of
from keras_irl.families.family import nearest_family
from keras_irl.families.positions import POSITION_IDS
from keras_irl.families.positions import num_positions
from keras_irl.families.positions import reads_positions
from keras_irl.generation import TokenSampler
from keras_irl.generation import draw
from keras_irl.ops import decode_sample_weight
from keras_irl.ops import is_action
from keras_irl.trainers.state_actions import one_position_more
from keras_irl.trainers.step_cost import Stopwatch
from keras_irl.types import Policy
from keras_irl.types import Tensor


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

    def __init__(self, buffer_size: int, policy: Policy, seed: int) -> None:
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
        continues = self._kept("continues", shape, "int32")
        self.rows = rows
        self.actions = actions
        self.mask = mask
        self.continues = continues
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

    def load_own_variables(self, store: Any) -> None:
        kept = {name: store[name] for name in store.keys()}
        if len(kept) == len(self.weights) - 1:
            # Until version 0.3, the mask was a sample weight that told both.
            mask, continues = f"{len(kept) - 1}", f"{len(kept)}"
            weight = np.asarray(kept[mask])
            kept[mask], kept[continues] = decode_sample_weight(weight)
        super().load_own_variables(kept)

    def exchange(self, rollouts: Texts) -> Texts:
        """Takes rollouts in, and gives as many back, from all that it holds.

        Args:
            rollouts: `Texts`, N rollouts.

        Returns:
            `Texts` of as many. A rollout may be given back twice.

        Raises:
            ValueError: If they are of another width than the policy's
                preprocessor makes.
        """
        rows = {name: self.rows[name] for name in rollouts.inputs}
        kept = Texts(rows, self.actions, self.mask, self.continues)
        kept = keras.tree.flatten(kept)
        new = keras.tree.flatten(rollouts)
        for variable, tensor in zip(kept, new, strict=True):
            _check_width(variable, tensor)
        num_rows = rollouts.actions.shape[0]
        if num_rows is not None and num_rows > self.buffer_size:
            raise ValueError(
                "A buffer of rollouts must hold those of a batch at least. "
                f"Received: buffer_size={self.buffer_size} for {num_rows} "
                "rollouts a batch"
            )
        is_text = ops.any(is_action(rollouts.mask), axis=1)
        num_new = self._store(kept, new, is_text)
        self.next_place.assign((self.next_place + num_new) % self.buffer_size)
        self.num_kept.assign(
            ops.minimum(self.num_kept + num_new, self.buffer_size)
        )
        num_rows = ops.shape(rollouts.actions)[0]
        return self._pick(kept, num_rows, rollouts)

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
        return keras.tree.pack_sequence_as(like, picked)


def _inputs(policy):
    """Names, shapes and types of what the policy reads, and the width."""
    layout = layout_of(policy)
    lengths = layout.sequence_lengths(policy.preprocessor)
    width = lengths[layout.length_name]
    inputs = {}
    # Keras has no weights of booleans on all backends.
    if layout.has_encoder:
        prompt_width = lengths[layout.prompt_length_name]
        for name in layout.prompt_inputs:
            inputs[name] = (prompt_width,), "int32"
    for name in (layout.token_ids, layout.padding_mask):
        inputs[name] = (width,), "int32"
    if reads_positions(policy):
        inputs[POSITION_IDS] = (width,), "int32"
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


@keras.saving.register_keras_serializable(package="keras_irl")
class Rollouts(keras.layers.Layer):
    """Lets a policy answer the prompts of a batch, inside a training step.

    The rollouts are drawn from the policy with the weights of the moment, by
    the compiled training step itself, and look like demonstrations: `(inputs,
    actions, mask)`, of the same width. A text ends with its end token; nothing
    that follows is an action. A text that fills the width without one is cut,
    not ended: its last state goes on; see `keras_irl.ops.encode_sample_weight`.

    Args:
        num_samples: Rollouts of each prompt. They share its encoding.
            Defaults to 1.
        num_updates: How often the policy is updated with each batch and its
            rollouts, before others are drawn, 1000 times at most. Defaults
            to 1.
        buffer_size: Number of past rollouts to keep. Each batch then trains on
            as many rollouts as it draws, picked from those kept, its own
            among them. Their widths are those of the policy's preprocessor.
            Defaults to 0, for training on those just drawn.
        seed: Seed of the noise, at least 0. Defaults to 0.

    Raises:
        ValueError: If a number is no integer, or out of its bounds.

    Example:
    ```python
    rollouts = keras_irl.Rollouts(num_samples=4, buffer_size=256)
    trainer = keras_irl.OnlineIQLearn(policy, rollouts=rollouts)
    ```

    Departures from the paper:
        - It leaves the number of samples open, and mentions no buffer.
    """

    def __init__(
        self,
        num_samples: int = 1,
        num_updates: int = 1,
        buffer_size: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(name="rollouts", dtype="float32", trainable=False)
        self.num_samples = check_integer("num_samples", num_samples, least=1)
        # Each is a part of the compiled step.
        self.num_updates = check_integer("num_updates", num_updates, 1, 1000)
        self.buffer_size = check_integer("buffer_size", buffer_size)
        self.seed = check_integer("seed", seed, most=LARGEST_SEED)
        self._stopwatch = Stopwatch()
        self.built = True

    def prepare(self, policy: Policy) -> None:
        """Builds the sampler for a policy, before any training.

        Args:
            policy: The language model that will write.

        Raises:
            ValueError: If it has no preprocessor, and so no end token.
        """
        if policy.preprocessor is None:
            raise ValueError(
                "To write texts, `policy` must have a preprocessor, which "
                "knows its end token: build it with `preprocessor=...`. "
                "Received: policy.preprocessor=None"
            )
        if nearest_family(policy).reads_prompt_separately:
            raise ValueError(
                "The policy reads prompts and responses apart when it "
                "generates, and rollouts read them as one. Use "
                "`keras_irl.IQLearn`. Received: policy of type "
                f"{type(policy).__name__}"
            )
        self._layout = layout_of(policy)
        self.sampler = TokenSampler(self.num_samples, seed=self.seed)
        # Keras keeps the variables that it finds in the attributes of layers.
        self.sampler_state = list(self.sampler.variables)
        self.seed_generator = self.sampler.seed_generator
        self.buffer = None
        if self.buffer_size:
            self.buffer = ReplayBuffer(self.buffer_size, policy, self.seed)

    def append(
        self, policy: Policy, demonstrations: Texts
    ) -> tuple[Texts, Tensor]:
        """Appends rollouts to a batch of demonstrations.

        Args:
            policy: The language model, as given to `prepare`.
            demonstrations: `Texts` of B rows.

        Returns:
            A pair: `Texts` with B · `num_samples` rows more, demonstrations
            first, and the seconds that the sampling took, a float32 scalar.
        """
        demonstrations = keras.tree.map_structure(
            ops.convert_to_tensor, demonstrations
        )
        inputs, _, mask, _ = demonstrations
        _check_inputs(policy, inputs, mask.shape[1])
        # A policy that is being loaded knows no tokens when this is made.
        self.end_token_id = int(policy.preprocessor.tokenizer.end_token_id)
        self.sampler.stop_token_ids = (self.end_token_id,)
        prompts, first = self._prompts(inputs, mask)
        key = self._layout.token_ids
        prompts[key] = self._stopwatch.start(prompts[key])
        tokens = draw(policy, prompts, self.sampler)
        tokens, seconds = self._stopwatch.stop(tokens)
        rollouts = self._texts(inputs, tokens, first)
        if self.buffer is not None:
            rollouts = self.buffer.exchange(rollouts)
        return _joined(demonstrations, rollouts), seconds

    def _texts(self, inputs, tokens, first):
        """Drawn texts as a batch, like those of demonstrations."""
        actions = tokens[:, 1:]
        first = ops.repeat(first, self.num_samples, axis=0)
        acts, continues = self._masks(actions, first)
        places = ops.arange(actions.shape[1], dtype="int32")[None]
        is_state = ops.logical_or(places <= first, continues)
        drawn = {
            name: ops.repeat(x, self.num_samples, axis=0)
            for name, x in inputs.items()
        }
        drawn[self._layout.token_ids] = ops.where(is_state, tokens[:, :-1], 0)
        drawn[self._layout.padding_mask] = is_state
        return Texts(drawn, actions, ops.cast(acts, "float32"), continues)

    def _prompts(self, inputs, mask):
        """The prompts, with a position more, and where they end."""
        key = self._layout.padding_mask
        acts = is_action(mask)
        # Rows without an action are there to fill the batch.
        counts = ops.any(acts, axis=1)
        first = ops.argmax(ops.cast(acts, "int32"), axis=1)
        first = ops.where(counts, ops.cast(first, "int32"), -1)[:, None]
        places = ops.arange(mask.shape[1], dtype="int32")[None]
        is_given = ops.where(
            counts[:, None], places <= first, ops.cast(inputs[key], "bool")
        )
        # The last action leads out of the states that a demonstration has.
        wider = [[0, 0], [0, 1]]
        tokens = self._layout.token_ids
        prompts = {**inputs, key: ops.pad(is_given, wider)}
        prompts[tokens] = ops.pad(ops.cast(inputs[tokens], "int32"), wider)
        return prompts | one_position_more(inputs), first

    def _masks(self, actions, first):
        """Masks of the actions that count, and of where texts go on."""
        places = ops.arange(actions.shape[1], dtype="int32")[None]
        is_drawn = ops.logical_and(places >= first, first >= 0)
        ends = ops.logical_and(is_drawn, ops.equal(actions, self.end_token_id))
        ends = ops.cast(ends, "int32")
        goes_on = ops.equal(ops.cumsum(ends, axis=1) - ends, 0)
        counts = ops.logical_and(is_drawn, goes_on)
        # The text fills the width, and its last action did not end it.
        is_cut = ops.logical_and(counts[:, -1:], ops.equal(ends[:, -1:], 0))
        is_cut = ops.logical_and(is_cut, places == actions.shape[1] - 1)
        return ops.logical_and(counts, ops.logical_not(is_cut)), counts

    def get_config(self) -> dict[str, Any]:
        return {
            "num_samples": self.num_samples,
            "num_updates": self.num_updates,
            "buffer_size": self.buffer_size,
            "seed": self.seed,
        }


def _joined(demonstrations, rollouts):
    return keras.tree.map_structure(
        lambda x, y: ops.concatenate([x, ops.cast(y, x.dtype)]),
        demonstrations,
        rollouts,
    )


def _check_inputs(policy, inputs, width):
    if "segment_ids" in inputs:
        raise ValueError(
            "A policy answers one prompt a row. Train it on "
            "`keras_irl.data.demonstrations(...)`. "
            "Received: packed demonstrations"
        )
    limit = num_positions(policy)
    if limit is not None and width >= limit:
        raise ValueError(
            "Rollouts need one position more than the states of a batch, and "
            "the policy has no more. Lower the sequence length of its "
            f"preprocessor, or `max_length`, to {limit - 1} at most. "
            f"Received: {width} states and {limit} positions"
        )


def check_rollouts(rollouts: Any) -> Rollouts:
    """Checks that an argument is a `Rollouts`, and returns it.

    Raises:
        ValueError: If they are anything else.
    """
    if not isinstance(rollouts, Rollouts):
        raise ValueError(
            "`rollouts` must be a `keras_irl.Rollouts(num_samples=...)`. "
            f"Received: rollouts={shortened(rollouts)}"
        )
    return rollouts
