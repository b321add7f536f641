"""Token scorers: language models with a scalar head, some of them adapters."""

import contextlib
import functools
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import Self

import keras
from keras import ops

from keras_irl.families.family import check_language_model
from keras_irl.families.heads import hidden_states
from keras_irl.families.heads import vocabulary_head
from keras_irl.models.copying import policy_config
from keras_irl.models.lora import has_lora
from keras_irl.models.lora import low_rank_variables
from keras_irl.runtime.devices import laid_out_like
from keras_irl.types import Policy
from keras_irl.types import Tensor


@keras.saving.register_keras_serializable(package="keras_irl")
class TokenScorer(keras.Model):
    """A language model with a scalar head: a number for each position.

    The score of a position is a linear function of what the language model
    makes of the text up to there. It starts at 0 everywhere. GAIL's
    discriminator and its value function are such networks.

    Args:
        language_model: A `CausalLM` or `Seq2SeqLM`, whose backbone is trained
            along: for example `keras_irl.models.copy_policy(policy)`. Its
            vocabulary head is not used, unless it is the embedding.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If it is no language model, or its family is not known.

    Example:
    ```python
    discriminator = keras_irl.models.TokenScorer(
        keras_hub.models.Seq2SeqLM.from_preset("t5_small_multi")
    )
    discriminator(inputs)  # (B, T)
    ```
    """

    def __init__(self, language_model: Policy, **kwargs: Any) -> None:
        check_language_model(language_model)
        super().__init__(**kwargs)
        self.language_model = language_model
        self.head = _score_head(language_model)
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        states = hidden_states(self.language_model, inputs, training=training)
        return ops.squeeze(self.head(states), axis=-1)

    def get_config(self) -> dict[str, Any]:
        language_model = policy_config(self.language_model)
        return {**super().get_config(), "language_model": language_model}

    @classmethod
    def from_config(
        cls,
        config: dict[str, Any],
        custom_objects: dict[str, Any] | None = None,
    ) -> Self:
        return cls(
            **keras.saving.deserialize_keras_object(
                config, custom_objects=custom_objects
            )
        )


def _score_head(language_model: Policy) -> keras.layers.Dense:
    """Makes the layer that scores the hidden states of a language model.

    Args:
        language_model: A `CausalLM` or `Seq2SeqLM` of a known family.

    Returns:
        A built `keras.layers.Dense` of one unit, all zero.

    Raises:
        ValueError: If the family is not known.
    """
    head = vocabulary_head(language_model)
    width = head.kernel.shape[head.axes.index("D")]
    layer = keras.layers.Dense(
        1, kernel_initializer="zeros", dtype="float32", name="score"
    )
    layer.build((None, width))
    return layer


class AdaptedScorer(keras.Model):
    """A `TokenScorer` on the frozen backbone of a policy with LoRA.

    It reads the same frozen weights as the policy, but through low-rank updates
    of its own, which start as the policy's are. So a policy, a discriminator, a
    value function and the policy as it was at first take little more memory
    than one of them. Whatever else the policy trains, such as biases or the
    scales of its norms, it has of its own too: no gradient reaches the policy,
    and no step of the policy moves the scores.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` after
            `keras_irl.models.enable_lora(policy)`. What it is to train must be
            thawed before.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If the policy has no low-rank updates.

    Example:
    ```python
    keras_irl.models.enable_lora(policy, rank=8)
    discriminator = keras_irl.models.AdaptedScorer(policy)
    value = keras_irl.models.AdaptedScorer(policy)
    trainer = keras_irl.GAIL(policy, discriminator, value)
    ```
    """

    def __init__(self, policy: Policy, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        adapted = adapted_variables(policy)
        self.adapters = [self._adapter(variable) for variable in adapted]
        self.head = _score_head(policy)
        # Only borrowed: a layer in an attribute would be one of this model's.
        self._read = functools.partial(_read, policy, adapted)
        self._check = functools.partial(check_adapted, policy, adapted)
        self.built = True

    def _adapter(self, update):
        with laid_out_like(update):
            adapter = self.add_weight(
                shape=update.shape,
                initializer="zeros",
                name=update.name,
            )
        # Without the copy they would share an array on JAX.
        adapter.assign(ops.copy(ops.convert_to_tensor(update)))
        return adapter

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        adapters = [ops.convert_to_tensor(v) for v in self.adapters]
        return ops.squeeze(
            self.head(self._read(adapters, inputs, training=training)), axis=-1
        )

    def check_policy(self) -> None:
        """Checks that the policy trains nothing that this reads with it.

        Raises:
            ValueError: If more of the policy was thawed since this was made.
        """
        self._check()

    def get_config(self) -> dict[str, Any]:
        raise ValueError(
            "A model with a scorer that borrows the backbone of a policy can't "
            "be saved whole. Save its weights, `trainer.save_weights(...)`, to "
            "go on with the training (`ModelCheckpoint` does so with "
            "`save_weights_only=True`), or the policy alone, "
            "`trainer.policy.save(...)`. "
            "Received: a scorer without a backbone of its own"
        )


def adapted_variables(policy: Policy) -> list[keras.Variable]:
    """Lists what of a policy changes: low-rank updates and trained variables.

    Raises:
        ValueError: If there are no low-rank updates.
    """
    check_language_model(policy)
    if not has_lora(policy):
        raise ValueError(
            "Networks can share the backbone of a policy once it is frozen and "
            "has low-rank updates: call `keras_irl.models.enable_lora(policy)` "
            f"first. Received: policy={policy.name!r} without them"
        )
    # By identity: variables of one name, as T5's position biases, are several.
    changing = [*policy.trainable_variables, *low_rank_variables(policy)]
    known = {id(variable) for variable in changing}
    return [v for v in policy.variables if id(v) in known]


def check_adapted(policy: Policy, adapted: Sequence[keras.Variable]) -> None:
    """Checks that all that changes of a policy was known before.

    Args:
        policy: A language model after `keras_irl.models.enable_lora`.
        adapted: What `adapted_variables(policy)` were.

    Raises:
        ValueError: If something is trained that they don't hold.
    """
    known = {id(variable) for variable in adapted}
    unknown = [v for v in policy.trainable_variables if id(v) not in known]
    if unknown:
        raise ValueError(
            "Weights of the policy were thawed after networks were made that "
            "share them, which would change as the policy is trained. Choose "
            "what it trains first; then make scorers and trainer. Received: "
            f"{len(unknown)} such weights, the first {unknown[0].path!r}"
        )


@contextlib.contextmanager
def other_values(
    policy: Policy,
    variables: Sequence[keras.Variable],
    values: Sequence[Tensor],
) -> Iterator[None]:
    """Lets some variables of a policy have other values for a while.

    Args:
        policy: A language model.
        variables: Some of its variables.
        values: As many tensors. Gradients flow to them, and to no variable
            of the policy.
    """
    # A scope hides the one around it, so it must know all variables.
    mapping = [
        (v, ops.stop_gradient(ops.convert_to_tensor(v)))
        for v in policy.variables
    ]
    mapping += zip(variables, values, strict=True)
    with keras.StatelessScope(state_mapping=mapping) as scope:
        before = [scope.get_current_value(v) for v in policy.variables]
        yield
    for variable, old in zip(policy.variables, before, strict=True):
        new = scope.get_current_value(variable)
        if new is not old:
            # The state of a dropout, which goes on.
            variable.assign(new)


def _read(policy, adapted, adapters, inputs, *, training):
    with other_values(policy, adapted, adapters):
        return hidden_states(policy, inputs, training=training)
