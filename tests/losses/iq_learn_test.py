import keras
import numpy as np
import oracles
import pytest
from keras import ops
from testing import compiled
from testing import gradient
from testing import numpy
from testing import ragged_batch

from keras_irl.losses import IQLearnLoss
from keras_irl.losses import MLELoss
from keras_irl.losses import iq_learn_loss
from keras_irl.ops import CONTINUES
from keras_irl.ops import token_statistics


def mean_oracle(q_values, actions, mask, **arguments):
    losses = [
        oracles.iq_learn_loss(
            np.float64(q_values[row, :length]),
            actions[row, :length],
            **arguments,
        )
        for row, length in enumerate(mask.sum(axis=1).astype(int))
    ]
    return np.mean(np.concatenate(losses))


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("td_weight", [0.0, 0.1, 2.0])
def test_matches_the_equation(discount, td_weight):
    q_values, actions, mask = ragged_batch(extra=1)
    loss = IQLearnLoss(td_weight, discount)(actions, q_values, mask)
    expected = mean_oracle(
        q_values, actions, mask, discount=discount, td_weight=td_weight
    )
    np.testing.assert_allclose(numpy(loss), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "divergence",
    ["chi2", "hellinger", "reverse_kl", "jensen_shannon", "total_variation"],
)
def test_every_divergence_matches_the_equation(divergence):
    q_values, actions, mask = ragged_batch()
    # With two tokens of values near -log 2, V is near 0 and rewards lie
    # near -0.7; a shift of the last value keeps them inside every domain.
    q_values = 0.1 * q_values[..., :2] - np.log(2.0)
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        q_values[row, :length] += 0.6 * np.arange(length, 0, -1)[:, None]
    actions = actions % 2
    loss = IQLearnLoss(0.7, 1.0, divergence)(actions, q_values, mask)
    expected = mean_oracle(
        q_values,
        actions,
        mask,
        discount=1.0,
        td_weight=0.7,
        divergence=divergence,
    )
    np.testing.assert_allclose(numpy(loss), expected, rtol=1e-4)


def test_is_cross_entropy_without_the_penalty():
    q_values, actions, mask = ragged_batch(extra=2)
    crossentropy = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )

    def theirs(q_values):
        return crossentropy(actions, q_values, mask)

    for loss in (IQLearnLoss(td_weight=0.0), MLELoss()):

        def ours(q_values, loss=loss):
            return loss(actions, q_values, mask)

        np.testing.assert_allclose(
            numpy(ours(q_values)), numpy(theirs(q_values)), rtol=1e-6
        )
        np.testing.assert_allclose(
            gradient(ours, q_values)[0],
            gradient(theirs, q_values)[0],
            rtol=1e-5,
            atol=1e-7,
        )


def test_gradient_matches_finite_differences():
    q_values, actions, mask = ragged_batch(lengths=(3, 2), vocabulary_size=3)
    mask[1, 2] = CONTINUES
    loss = IQLearnLoss(0.3, 0.9)
    (slopes,) = gradient(lambda q: loss(actions, q, mask), q_values)
    for index in np.ndindex(q_values.shape):
        sides = []
        for step in (0.05, -0.05):
            moved = q_values.copy()
            moved[index] += step
            sides.append(float(numpy(loss(actions, moved, mask))))
        assert slopes[index] == pytest.approx(
            (sides[0] - sides[1]) / 0.1, abs=2e-3
        )


@pytest.mark.parametrize("extra", [6, 18])
@pytest.mark.parametrize("pad_id", [0, 3])
def test_padding_does_not_change_the_loss(extra, pad_id):
    loss = compiled(IQLearnLoss(0.5, 0.95))
    q_values, actions, mask = ragged_batch()
    before = numpy(loss(actions, q_values, mask))
    q_values, actions, mask = ragged_batch(extra=extra)
    actions[mask == 0] = pad_id
    q_values[mask == 0] = 1e4
    np.testing.assert_allclose(
        before, numpy(loss(actions, q_values, mask)), rtol=1e-6
    )


@pytest.mark.parametrize("num_parts", [2, 4])
def test_a_split_batch_has_the_same_token_mean(num_parts):
    loss = compiled(IQLearnLoss(0.5, 0.95))
    q_values, actions, mask = ragged_batch()
    parts = [
        (numpy(loss(a, q, m)) * m.sum(), m.sum())
        for q, a, m in zip(
            np.split(q_values, num_parts),
            np.split(actions, num_parts),
            np.split(mask, num_parts),
            strict=True,
        )
    ]
    total, count = map(sum, zip(*parts, strict=True))
    np.testing.assert_allclose(
        total / count, numpy(loss(actions, q_values, mask)), rtol=1e-6
    )


def test_a_cut_text_is_bootstrapped_and_an_ended_one_is_not():
    q_values, actions, mask = ragged_batch(lengths=(5,))
    mask[0, 4] = 0.0
    loss = compiled(IQLearnLoss(1.0, 1.0))
    ended = numpy(loss(actions, q_values, mask))
    mask[0, 4] = CONTINUES
    cut = numpy(loss(actions, q_values, mask))
    values = [oracles.log_sum_exp(np.float64(row)) for row in q_values[0]]
    taken = q_values[0, 3, actions[0, 3]]
    difference = ((taken - values[4]) ** 2 - taken**2) / 4
    np.testing.assert_allclose(cut - ended, difference, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e4, -1e4])
@pytest.mark.parametrize(
    "divergence",
    ["chi2", "hellinger", "reverse_kl", "jensen_shannon", "total_variation"],
)
def test_loss_and_gradient_are_finite_for_huge_logits(scale, divergence):
    q_values, actions, mask = ragged_batch(extra=1)
    loss = IQLearnLoss(0.1, 0.99, divergence)
    q_values = q_values * scale
    (slopes,) = gradient(lambda q: loss(actions, q, mask), q_values)
    assert np.isfinite(numpy(loss(actions, q_values, mask)))
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_logits_are_finite_and_computed_in_float32(dtype):
    q_values, actions, mask = ragged_batch(extra=1)
    half = ops.cast(ops.convert_to_tensor(q_values * 1e3), dtype)
    loss = IQLearnLoss()(actions, half, mask)
    assert numpy(loss).dtype == np.float32
    rounded = numpy(ops.cast(half, "float32"))
    np.testing.assert_allclose(
        numpy(loss), numpy(IQLearnLoss()(actions, rounded, mask)), rtol=1e-6
    )


def test_a_stopped_value_keeps_the_loss_and_changes_the_gradient():
    q_values, actions, mask = ragged_batch()
    flowing = IQLearnLoss(1.0)
    stopped = IQLearnLoss(1.0, stop_value_gradient=True)
    assert numpy(flowing(actions, q_values, mask)) == pytest.approx(
        float(numpy(stopped(actions, q_values, mask)))
    )
    with_flow, without = (
        gradient(lambda q, loss=loss: loss(actions, q, mask), q_values)[0]
        for loss in (flowing, stopped)
    )
    assert np.abs(with_flow - without).max() > 0.01
    # The last action of a text has no next value: nothing to stop.
    np.testing.assert_allclose(with_flow[2, 0], without[2, 0], rtol=1e-5)


def test_the_pure_function_gives_one_loss_per_token():
    q_values, actions, mask = ragged_batch()
    action_values, values, _, _ = token_statistics(q_values, actions)
    losses = numpy(
        iq_learn_loss(action_values, values, mask, 0.9, td_weight=0.2)
    )
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        np.testing.assert_allclose(
            losses[row, :length],
            oracles.iq_learn_loss(
                q_values[row, :length], actions[row, :length], 0.9, 0.2
            ),
            rtol=1e-4,
        )


@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_the_offset_of_a_batch_makes_its_rewards_smallest(discount):
    q_values, actions, mask = ragged_batch(extra=1)
    arguments = {"discount": discount, "td_weight": 0.5}
    loss = IQLearnLoss(**arguments, value_offset="batch")
    found = float(numpy(loss(actions, q_values, mask)))
    levels = np.linspace(-30.0, 30.0, 12_001)
    # A parabola, of which three points tell the whole.
    points = [
        mean_oracle(q_values + level, actions, mask, **arguments)
        for level in (-1.0, 0.0, 1.0)
    ]
    parabola = np.polyfit([-1.0, 0.0, 1.0], points, 2)
    assert found == pytest.approx(np.polyval(parabola, levels).min(), rel=1e-5)
    best = levels[np.polyval(parabola, levels).argmin()]
    given = IQLearnLoss(**arguments, value_offset=float(best))
    assert numpy(given(actions, q_values, mask)) == pytest.approx(found)


def test_a_shift_of_all_logits_changes_nothing_with_the_offset_of_a_batch():
    q_values, actions, mask = ragged_batch(extra=1)
    loss = IQLearnLoss(td_weight=0.5, value_offset="batch")

    def mean(logits):
        return loss(actions, logits, mask)

    near, far = (gradient(mean, q_values + level)[0] for level in (0.0, 25.0))
    np.testing.assert_allclose(far, near, atol=2e-6)
    # The paper's form sees the level.
    given = IQLearnLoss(td_weight=0.5)
    (plain,) = gradient(
        lambda logits: given(actions, logits, mask), q_values + 25.0
    )
    assert np.abs(plain - near).max() > 0.1


def test_survives_a_config_round_trip():
    loss = IQLearnLoss(
        keras.optimizers.schedules.PolynomialDecay(0.0, 100, 0.5),
        discount=0.9,
        divergence="reverse_kl",
        stop_value_gradient=True,
        warmup_steps=3,
        value_offset="batch",
        initial_step=50,
    )
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == loss.get_config()
    q_values, actions, mask = ragged_batch()
    assert numpy(again(actions, q_values, mask)) == pytest.approx(
        float(numpy(loss(actions, q_values, mask)))
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discount": 1.5}, r"\[0, 1\].*Received: discount=1.5"),
        ({"td_weight": -1.0}, r"at least 0.*Received: td_weight=-1.0"),
        ({"divergence": "kl"}, r"chi2, hellinger.*Received: divergence='kl'"),
        ({"warmup_steps": -1}, r"Received: warmup_steps=-1"),
        ({"value_offset": "auto"}, r"batch.*Received: value_offset='auto'"),
        ({"value_offset": None}, r"number.*Received: value_offset=None"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        IQLearnLoss(**arguments)


@pytest.mark.parametrize("loss", [IQLearnLoss(), MLELoss()])
def test_a_missing_mask_is_refused(loss):
    q_values, actions, _ = ragged_batch()
    with pytest.raises(ValueError, match="Received: sample_weight=None"):
        loss(actions, q_values)


def test_shapes_that_disagree_are_refused():
    q_values, actions, mask = ragged_batch()
    with pytest.raises(ValueError, match=r"mask \(4, 5\)"):
        IQLearnLoss()(actions, q_values, mask[:, 1:])


def test_a_batch_in_which_nothing_counts_shows_as_nan():
    q_values, actions, mask = ragged_batch()
    assert np.isnan(numpy(IQLearnLoss()(actions, q_values, 0 * mask)))
