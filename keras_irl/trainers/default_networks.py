"""The default discriminator, value network and optimizers of GAIL."""

from typing import Any

import keras

from keras_irl.arguments import check_number
from keras_irl.error_texts import shortened
from keras_irl.models.copying import copy_policy
from keras_irl.models.lora import has_lora
from keras_irl.models.token_scorer import AdaptedScorer
from keras_irl.models.token_scorer import TokenScorer
from keras_irl.optimizers.unwrapping import check_optimizer
from keras_irl.trainers.policy_gradient import PolicyGradient
from keras_irl.trainers.rollouts import check_rollouts
from keras_irl.types import Policy


def default_scorer(policy: Policy) -> keras.Model:
    """Makes a discriminator or value function that starts as the policy.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        An `AdaptedScorer` where the policy has LoRA, else a `TokenScorer`.
    """
    if has_lora(policy):
        return AdaptedScorer(policy)
    return TokenScorer(copy_policy(policy))


def check_networks(
    policy: Policy, discriminator: keras.Model, value: keras.Model
) -> None:
    """Checks that discriminator and value are scorers without shared weights.

    Raises:
        ValueError: If a scorer is none, or networks have weights in common
            that both would train.
    """
    for name, scorer in (("discriminator", discriminator), ("value", value)):
        if not isinstance(scorer, TokenScorer | AdaptedScorer):
            raise ValueError(
                f"`{name}` gives each token a number: pass a "
                "`keras_irl.models.TokenScorer(language_model)`. "
                f"Received: {name}={shortened(scorer)} of type "
                f"{type(scorer).__name__}"
            )
    seen = {}
    networks = {"policy": policy, "discriminator": discriminator}
    for name, network in (networks | {"value": value}).items():
        for variable in network.trainable_variables:
            if id(variable) in seen:
                raise ValueError(
                    f"`{seen[id(variable)]}` and `{name}` would train the same "
                    "weights against each other. Give each network its own, as "
                    "with `keras_irl.models.copy_policy`, or share a frozen "
                    "backbone: `keras_irl.models.AdaptedScorer`. "
                    f"Received: both with {variable.path}"
                )
            seen[id(variable)] = name


def check_sharing(*scorers: Any) -> None:
    """Checks that scorers share nothing with the policy that it trains.

    Raises:
        ValueError: If more of it was thawed since they were made.
    """
    for scorer in scorers:
        if isinstance(scorer, AdaptedScorer):
            scorer.check_policy()


def check_learning(
    policy_gradient: PolicyGradient, rollouts: Any, mle_weight: float
) -> float:
    """Checks the policy gradient, the rollouts and the likelihood weight.

    Returns:
        The weight of the likelihood, a `float`.

    Raises:
        ValueError: If it is told by something else, rollouts are kept that
            were written by policies of the past, or a weight is negative.
    """
    mle_weight = check_number("mle_weight", mle_weight, least=0.0)
    if not isinstance(policy_gradient, PolicyGradient):
        raise ValueError(
            "`policy_gradient` must be a `keras_irl.PolicyGradient(...)`. "
            f"Received: policy_gradient={shortened(policy_gradient)}"
        )
    if rollouts is not None and check_rollouts(rollouts).buffer_size:
        raise ValueError(
            "A policy gradient holds for what the policy writes now, not for "
            "past rollouts. Use `Rollouts(num_updates=...)` to learn more from "
            "each, without a buffer. "
            f"Received: buffer_size={rollouts.buffer_size}"
        )
    return mle_weight


def three_optimizers(
    policy: Policy,
    discriminator: str | keras.Optimizer | None,
    value: str | keras.Optimizer | None,
) -> list[keras.Optimizer]:
    """Makes the optimizers of the three networks.

    Args:
        policy: Name or instance of an optimizer, or `None` for Adam at 1e-4,
            which is reached over its first 2,000 steps.
        discriminator: Likewise, but `None` for one like the policy's that
            accumulates no gradients; if that is `None` too, for Adam at 1e-4
            from the start.
        value: Likewise.

    Returns:
        A list of three `keras.optimizers.Optimizer`s.

    Raises:
        ValueError: If one of them is none.
    """
    if policy is None:
        policy = _adam(
            keras.optimizers.schedules.PolynomialDecay(
                0.0, decay_steps=2000, end_learning_rate=1e-4
            )
        )
        like_it = _adam(1e-4)
    else:
        policy = like_it = check_optimizer("optimizer", policy)
    others = {
        "discriminator_optimizer": discriminator,
        "value_optimizer": value,
    }
    return [
        policy,
        *(
            _like(like_it) if other is None else check_optimizer(name, other)
            for name, other in others.items()
        ),
    ]


def _like(optimizer):
    # One that waits for several batches would learn no more than the policy.
    config = {**optimizer.get_config(), "gradient_accumulation_steps": None}
    return type(optimizer).from_config(config)


def _adam(learning_rate):
    return keras.optimizers.Adam(learning_rate, global_clipnorm=1.0)
