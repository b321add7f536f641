"""What stands outside the mask leaves no trace, and shapes never broadcast."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops
from testing import gradient
from testing import numpy
from testing import ragged_batch

from keras_irl import losses
from keras_irl import ops as statistics
from keras_irl.ops import CONTINUES
from keras_irl.ops import VocabularyHead
from keras_irl.ops import masked_mean
from keras_irl.ops import masked_sum
from keras_irl.ops import token_statistics

MASK = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]], "float32")
OUTSIDE = MASK == 0
FIRST, SECOND, THIRD = (
    np.random.default_rng(seed).normal(size=(2, 3)).astype("float32")
    for seed in range(3)
)
GARBAGE = (np.nan, np.inf, -np.inf, 1e30)
DIVERGENCES = (
    "chi2",
    "hellinger",
    "reverse_kl",
    "jensen_shannon",
    "total_variation",
)
# Scalars whose gradients reach tensors of shape (B, T), by way of a mean.
SCALARS = {
    "masked_sum": lambda a, b: masked_sum(a, MASK),
    "mle": lambda a, b: masked_mean(losses.mle_loss(a, b), MASK),
    "entropy": lambda a, b: masked_mean(losses.entropy_loss(a, 0.3), MASK),
    **{
        f"iq_learn, {name}": lambda a, b, name=name: masked_mean(
            losses.iq_learn_loss(a, b, MASK, divergence=name), MASK
        )
        for name in DIVERGENCES
    },
    **{
        f"penalty, {name}": lambda a, b, name=name: masked_mean(
            losses.divergence_penalty(a, name), MASK
        )
        for name in DIVERGENCES
    },
    "td_penalty": lambda a, b: masked_mean(
        losses.td_penalty(a, b, MASK, 0.9), MASK
    ),
    "policy_gradient": lambda a, b: masked_mean(
        losses.policy_gradient_loss(a, b, THIRD), MASK
    ),
    "kl": lambda a, b: masked_mean(losses.kl_loss(a, b), MASK),
    "kl_estimates": lambda a, b: masked_mean(losses.kl_estimates(a, b), MASK),
    "value": lambda a, b: masked_mean(losses.value_loss(a, b), MASK),
    "normalize_advantages": lambda a, b: masked_sum(
        ops.multiply(
            ops.square(losses.normalize_advantages(a, MASK, 0.5)), THIRD
        ),
        MASK,
    ),
    "explained_variance": lambda a, b: losses.explained_variance(a, b, MASK),
    "discriminator": lambda a, b: (
        masked_mean(losses.discriminator_loss(a, True), MASK)
        + masked_mean(losses.discriminator_loss(b, False), MASK)
    ),
    "discriminator_entropies": lambda a, b: masked_mean(
        losses.discriminator_entropies(a), MASK
    ),
    "implicit_rewards": lambda a, b: masked_mean(
        ops.square(statistics.implicit_rewards(a, b, MASK)), MASK
    ),
    "returns": lambda a, b: masked_mean(
        ops.square(statistics.discounted_returns(a, MASK)), MASK
    ),
    "advantages": lambda a, b: masked_mean(
        ops.square(statistics.generalized_advantages(a, b, MASK)), MASK
    ),
}


def spoilt(array, garbage):
    array = array.copy()
    array[OUTSIDE] = garbage
    return array


@pytest.mark.parametrize("name", SCALARS)
def test_garbage_in_padding_changes_neither_loss_nor_gradient(name):
    def function(first, second):
        # The last term is there for the gradients to exist on PyTorch.
        unused = 0.0 * (masked_sum(first, MASK) + masked_sum(second, MASK))
        return SCALARS[name](first, second) + unused

    clean = gradient(function, FIRST, SECOND)
    value = numpy(function(FIRST, SECOND))
    for garbage in GARBAGE:
        dirty = spoilt(FIRST, garbage), spoilt(SECOND, garbage)
        np.testing.assert_array_equal(numpy(function(*dirty)), value)
        for ours, theirs in zip(gradient(function, *dirty), clean, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
            assert not ours[OUTSIDE].any()


def test_garbage_where_tokens_count_shows():
    spoilt = FIRST.copy()
    spoilt[0, 0] = np.nan
    for name in (
        "value",
        "kl",
        "policy_gradient",
        "discriminator",
        "td_penalty",
    ):
        assert np.isnan(numpy(SCALARS[name](spoilt, SECOND))), name


LOSSES = {
    "mle": losses.MLELoss(entropy_weight=0.1),
    **{
        name: losses.IQLearnLoss(td_weight=0.5, divergence=name)
        for name in DIVERGENCES
    },
    "scheduled": losses.IQLearnLoss(td_weight=lambda step: 0.5),
}


@pytest.mark.parametrize("name", LOSSES)
def test_logits_of_padding_change_neither_loss_nor_gradient(name):
    q_values, actions, mask = ragged_batch(extra=1)
    mask[1, 4] = CONTINUES
    outside = (mask == 0) & ~np.signbit(mask)

    def function(q_values):
        return LOSSES[name](actions, q_values, mask)

    (clean,) = gradient(function, q_values)
    value = numpy(function(q_values))
    for garbage in GARBAGE:
        q_values[outside] = garbage
        np.testing.assert_allclose(numpy(function(q_values)), value, rtol=1e-6)
        (dirty,) = gradient(function, q_values)
        np.testing.assert_allclose(dirty, clean, rtol=1e-5, atol=1e-7)


def test_a_state_that_counts_and_is_not_finite_spoils_the_gradient():
    # Loss scaling finds an overflow by it, and leaves the step out.
    q_values, actions, mask = ragged_batch()
    q_values[0, 0, 0] = np.nan
    (slope,) = gradient(
        lambda q_values: LOSSES["chi2"](actions, q_values, mask), q_values
    )
    assert np.isnan(slope[0, 0]).any()


VECTORS = np.arange(6.0).reshape(2, 3).astype("float32")


def calls(mask=MASK, values=VECTORS, others=VECTORS):
    """Every public function on numbers of shape (B, T), by its name."""
    q_values = np.zeros((2, 3, 4), "float32")
    hidden_states = np.zeros((2, 3, 5), "float32")
    actions = np.zeros((2, 3), "int32")
    head = VocabularyHead(np.zeros((4, 5), "float32"))
    return {
        "masked_mean": lambda: statistics.masked_mean(values, mask),
        "masked_sum": lambda: statistics.masked_sum(values, mask),
        "next_values": lambda: statistics.next_values(values, mask),
        "implicit_rewards": lambda: statistics.implicit_rewards(
            values, others, mask
        ),
        "discounted_returns": lambda: statistics.discounted_returns(
            values, mask
        ),
        "generalized_advantages": lambda: statistics.generalized_advantages(
            values, others, mask
        ),
        "token_statistics": lambda: token_statistics(q_values, actions, mask),
        "tiled_token_statistics": lambda: statistics.tiled_token_statistics(
            hidden_states, head, actions, mask
        ),
        "iq_learn_loss": lambda: losses.iq_learn_loss(values, others, mask),
        "td_penalty": lambda: losses.td_penalty(values, others, mask),
        "normalize_advantages": lambda: losses.normalize_advantages(
            values, mask
        ),
        "explained_variance": lambda: losses.explained_variance(
            values, others, mask
        ),
        "MLELoss": lambda: losses.MLELoss()(actions, q_values, mask),
        "IQLearnLoss": lambda: losses.IQLearnLoss()(actions, q_values, mask),
    }


def pairs(first=VECTORS, second=VECTORS):
    """Every public function of two tensors, without a mask."""
    return {
        "log_probs": lambda: statistics.log_probs(first, second),
        "mle_loss": lambda: losses.mle_loss(first, second),
        "kl_loss": lambda: losses.kl_loss(first, second),
        "kl_estimates": lambda: losses.kl_estimates(first, second),
        "value_loss": lambda: losses.value_loss(first, second),
        "policy_gradient_loss": lambda: losses.policy_gradient_loss(
            first, first, second
        ),
        "is_clipped": lambda: losses.is_clipped(first, second, first),
    }


@pytest.mark.parametrize("shape", ((2, 1), (1, 3), (), (3,), (3, 2), (2, 3, 1)))
def test_what_would_be_broadcast_is_refused(shape):
    ones = np.ones(shape, "float32")
    for name, call in {
        **calls(mask=ones),
        **pairs(second=ones),
        **pairs(first=ones),
    }.items():
        with pytest.raises(ValueError, match="Received"):
            call()
            pytest.fail(name)
    for function in (
        statistics.is_action,
        statistics.decode_sample_weight,
        statistics.is_start,
    ):
        if len(shape) != 2:
            with pytest.raises(ValueError, match="Received"):
                function(ones)


def test_a_mean_over_all_of_0_to_5_is_two_and_a_half():
    assert float(masked_mean(VECTORS, np.ones((2, 3)))) == 2.5
    assert float(masked_mean(VECTORS, np.ones((2, 3), bool))) == 2.5
    assert float(masked_mean(VECTORS.tolist(), [[1, 1, 1], [1, 1, 1]])) == 2.5
    assert float(masked_mean([[0, 1, 2], [3, 4, 5]], [[True] * 3] * 2)) == 2.5


def test_a_list_is_as_good_as_a_tensor():
    """Nested lists, NumPy of all types, integers and booleans."""
    as_floats = {**calls(), **pairs()}
    for kind in (
        np.ndarray.tolist,
        ops.convert_to_tensor,
        lambda array: array.astype("int64"),
        lambda array: array.astype("float64"),
        lambda array: array.astype("uint8").tolist(),
    ):
        again = {
            **calls(kind(MASK), kind(VECTORS), kind(VECTORS)),
            **pairs(kind(VECTORS), kind(VECTORS)),
        }
        for name, call in again.items():
            for ours, theirs in zip(
                keras.tree.flatten(call()),
                keras.tree.flatten(as_floats[name]()),
                strict=True,
            ):
                np.testing.assert_allclose(
                    numpy(ours), numpy(theirs), rtol=1e-6, err_msg=name
                )
    assert float(losses.discriminator_loss(0, True)) == pytest.approx(
        np.log(2.0)
    )
    assert numpy(losses.adversarial_rewards([1, -1], "logit")).tolist() == [
        1.0,
        -1.0,
    ]
    assert numpy(losses.concave_reward([2, True])).tolist() == [-2.0, 0.0]
    assert float(losses.divergence_penalty(3)) == 9.0
    assert numpy(losses.entropy_loss([[1, 2]], 0.5)).tolist() == [[-0.5, -1.0]]
    assert numpy(losses.discriminator_entropies([0])) == pytest.approx(
        np.log(2.0)
    )


def test_losses_take_lists_too():
    found = losses.MLELoss()([[1, 0]], [[[0, 0], [0, 0]]], [[1, 0]])
    assert float(found) == pytest.approx(np.log(2.0))
    hits = token_statistics([[[1, 3], [2, 0]]], [[1, 1]]).is_argmax
    assert numpy(hits).tolist() == [[1.0, 0.0]]
    head = VocabularyHead([[1, 0], [0, 2]], bias=[1, 0])
    assert numpy(head.q_values([[[1, 1]]])).tolist() == [[[2.0, 2.0]]]
    tiled = statistics.tiled_token_statistics(
        [[[1, 1]]], VocabularyHead([[1, 0], [0, 2]]), [[1]], [[True]]
    )
    assert float(numpy(tiled.action_values)[0, 0]) == 2.0


@pytest.mark.parametrize(
    "wrong", ("abc", None, [[1.0], [1.0, 2.0]], [["a"]], {"a": 1}, object())
)
def test_what_holds_no_numbers_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match="`values` must.*Received: values="):
        masked_mean(wrong, MASK)
    with pytest.raises(ValueError, match="`mask` must.*Received: mask="):
        statistics.is_action(wrong)
    with pytest.raises(ValueError, match="`rewards` must.*Received: rewards="):
        losses.divergence_penalty(wrong)


@pytest.mark.parametrize(
    "name, wrong",
    (
        ("discount", 1.5),
        ("discount", "0.9"),
        ("discount", np.nan),
        ("gae_lambda", -0.1),
        ("td_weight", -1.0),
        ("td_weight", None),
        ("clip_ratio", "0.2"),
        ("clip_ratio", -0.2),
        ("entropy_weight", np.inf),
        ("min_std", 0.0),
        ("block_size", 0),
        ("tile_size", 1.5),
        ("divergence", ["chi2"]),
        ("reward_form", None),
        ("is_demonstration", [True, False]),
    ),
)
def test_numbers_of_functions_are_checked(name, wrong):
    tried = 0
    arguments = {
        "action_values": FIRST,
        "values": FIRST,
        "rewards": FIRST,
        "advantages": FIRST,
        "log_probs": FIRST,
        "old_log_probs": FIRST,
        "entropies": FIRST,
        "demonstration_logits": FIRST,
        "mask": MASK,
        "hidden_states": np.zeros((2, 3, 5), "float32"),
        "head": VocabularyHead(np.zeros((4, 5), "float32")),
        "actions": np.zeros((2, 3), "int32"),
        "td_weight": 0.1,
    }
    for room in (losses, statistics):
        for function in vars(room).values():
            if not inspect.isfunction(function):
                continue
            names = inspect.signature(function).parameters
            if name in names:
                given = {n: arguments[n] for n in names if n in arguments}
                with pytest.raises(ValueError, match=f"`{name}`.*Received: "):
                    function(**{**given, name: wrong})
                tried += 1
    assert tried
