import keras
import keras_hub
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import StepLosses
from testing import numpy
from testing import quick_start
from testing import ragged_batch
from testing import tiny_gpt2
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.ops import implicit_rewards
from keras_irl.ops import token_statistics
from keras_irl.trainers import ValueOffset

SHIFT = -50.0


class ShiftedGPT2(keras_hub.models.GPT2CausalLM):
    """A policy whose logits all carry a large common offset."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask) + SHIFT


def train(policy, value_offset):
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=1)
    trainer = keras_irl.IQLearn(
        policy, 0.1, discount=1.0, value_offset=value_offset
    )
    trainer.compile(keras.optimizers.SGD(0.01))
    steps = StepLosses()
    logs = trainer.fit(dataset, epochs=4, verbose=0, callbacks=[steps]).history
    return trainer, steps.losses, logs


def shifted(policy):
    return ShiftedGPT2(policy.backbone, policy.preprocessor)


def test_a_shift_of_all_logits_changes_nothing():
    policy = quick_start(tiny_gpt2(num_layers=1))
    start = policy.get_weights()
    trainer, losses, logs = train(policy, "auto")
    policy.set_weights(start)
    moved, moved_losses, moved_logs = train(shifted(policy), "auto")
    np.testing.assert_allclose(losses, moved_losses, rtol=2e-3)
    assert moved.value_offset - trainer.value_offset == pytest.approx(
        -SHIFT, abs=0.02
    )
    for name in ("reward", "start_value", "gradient_norm"):
        np.testing.assert_allclose(
            logs[name], moved_logs[name], rtol=1e-2, atol=1e-2, err_msg=name
        )
    # Without the offset the first losses are those of the level alone.
    policy.set_weights(start)
    _, bad_losses, bad_logs = train(shifted(policy), 0.0)
    assert bad_losses[0] > 2 * losses[0]
    assert bad_logs["gradient_norm"][0] > 1.5 * logs["gradient_norm"][0]


@pytest.mark.parametrize("mode", ["auto", "running", "running_last"])
def test_a_batch_that_is_not_finite_leaves_no_trace(mode):
    q_values, actions, mask = ragged_batch(extra=2)
    statistics = token_statistics(q_values + 7.0, actions)
    broken = statistics._replace(values=statistics.values + np.nan)
    seen, spared = ValueOffset(mode), ValueOffset(mode)
    for step, batch in enumerate((broken, statistics, broken, statistics)):
        seen.shift(batch, mask, 0.9, True, step=step)
        if batch is statistics:
            spared.shift(batch, mask, 0.9, True, step=step)
    assert float(numpy(spared.offset)) < -1.0
    for name in ("offset", "products"):
        values = [float(numpy(getattr(x, name))) for x in (seen, spared)]
        # What is kept up weighs less with each update, finite or not.
        assert np.isfinite(values).all()
        if name == "offset" or mode == "auto":
            assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_no_other_offset_makes_the_rewards_smaller():
    q_values, actions, mask = ragged_batch(extra=2)
    statistics = token_statistics(q_values + 7.0, actions)
    offset = ValueOffset("auto")
    found = offset.shift(statistics, mask, 0.9, training=True)
    rewards = implicit_rewards(*found[:2], mask, 0.9)
    best = np.sum(
        np.square(np.asarray(keras.ops.convert_to_numpy(rewards)))[mask > 0]
    )
    level = float(numpy(offset.offset))
    for other in (level - 0.1, level + 0.1):
        shifted = ValueOffset(other).shift(statistics, mask, 0.9, False)
        rewards = implicit_rewards(*shifted[:2], mask, 0.9)
        assert np.sum(np.square(numpy(rewards))[mask > 0]) > best


def test_only_the_first_batches_of_training_calibrate():
    q_values, actions, mask = ragged_batch()
    statistics = token_statistics(q_values, actions)
    offset = ValueOffset("auto")
    offset.shift(statistics, mask, 0.9, training=False)
    assert float(numpy(offset.offset)) == 0.0
    offset.shift(statistics, mask, 0.9, training=True, step=8)
    level = float(numpy(offset.offset))
    assert level != 0.0
    elsewhere = token_statistics(q_values + 100.0, actions)
    offset.shift(elsewhere, mask, 0.9, training=True, step=10)
    assert float(numpy(offset.offset)) == level
    offset.shift(elsewhere, mask, 0.9, training=True, step=9)
    assert float(numpy(offset.offset)) != level


def test_a_batch_that_pins_no_level_leaves_it_at_zero():
    # At discount 1 only an end says where zero is, and these texts were cut.
    statistics = token_statistics(np.ones((1, 2, 3)), np.zeros((1, 2)))
    offset = ValueOffset("auto")
    mask = np.array([[1.0, 0.0]], "float32")
    goes_on = np.array([[True, True]])
    offset.shift(statistics, mask, 1.0, training=True, continues=goes_on)
    assert float(numpy(offset.offset)) == 0.0


def test_the_offset_is_saved_with_the_trainer(tmp_path):
    policy = quick_start(tiny_policy("t5", num_layers=1))
    trainer, _, _ = train(policy, "auto")
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert trainer.value_offset == loaded.value_offset != 0.0
    assert loaded.get_config()["value_offset"] == "auto"


@pytest.mark.parametrize("value_offset", ["large", None, float("nan")])
def test_what_is_no_offset_is_refused(value_offset):
    with pytest.raises(ValueError, match="nats.*running.*Received: value_off"):
        ValueOffset(value_offset)


RUNNING = ["running", "running_last"]


def oracle(batches, discount, decay, *, last_only=False):
    """The offset each update goes by, a loop over unpadded texts."""
    offsets, products, squares = [], 0.0, 0.0
    for batch in batches:
        new_products = new_squares = 0.0
        for q_values, actions in batch:
            values = np.log(np.sum(np.exp(q_values), axis=-1))
            for t, action in enumerate(actions):
                is_last = t == len(actions) - 1
                after = 0.0 if is_last else values[t + 1]
                reward = q_values[t, action] - discount * after
                slope = 1.0 if is_last else 1.0 - discount
                if last_only:
                    slope = float(is_last)
                new_products += slope * reward
                new_squares += slope**2
        first = (new_products, new_squares)
        level = (products, squares) if squares else first
        offsets.append(-level[0] / level[1])
        products = decay * products + new_products
        squares = decay * squares + new_squares
    return offsets


def texts(seed, lengths=(4, 2)):
    """A batch of unpadded texts: logits and actions of each."""
    draws = np.random.default_rng(seed)
    return [
        (
            draws.normal(3.0, 2.0, (length, 5)),
            draws.integers(0, 5, length),
        )
        for length in lengths
    ]


def padded(batch):
    """The statistics and mask of a batch of texts."""
    width = max(len(actions) for _, actions in batch) + 1
    q_values = np.full((len(batch), width, 5), 50.0, "float32")
    taken = np.zeros((len(batch), width), "int32")
    mask = np.zeros((len(batch), width), "float32")
    for row, (logits, actions) in enumerate(batch):
        q_values[row, : len(actions)] = logits
        taken[row, : len(actions)] = actions
        mask[row, : len(actions)] = 1.0
    return token_statistics(q_values, taken), mask


@pytest.mark.parametrize("mode", RUNNING)
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_kept_up_offset_is_that_of_the_updates_before(mode, decay):
    batches = [texts(seed) for seed in range(4)]
    offset = ValueOffset(mode, decay=decay)
    found = []
    for batch in batches:
        statistics, mask = padded(batch)
        shifted = offset.shift(statistics, mask, 0.9, training=True)
        found.append(float(numpy(offset.offset)))
        np.testing.assert_allclose(
            numpy(shifted.values - statistics.values), found[-1], rtol=1e-4
        )
    expected = oracle(batches, 0.9, decay, last_only=mode == "running_last")
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_batches_of_an_update_are_shifted_alike_and_count_once():
    updates = [texts(seed, (4, 2, 3, 5)) for seed in range(3)]
    offset, found = ValueOffset("running"), []
    for texts_of_update in updates:
        for num_waiting in range(2):
            half = texts_of_update[2 * num_waiting : 2 * num_waiting + 2]
            offset.shift(
                *padded(half), 0.9, training=True, num_waiting=num_waiting
            )
            found.append(float(numpy(offset.offset)))
    expected = oracle(updates, 0.9, 0.95)
    # The first update goes by its first batch; it knows no other.
    expected[0] = oracle([updates[0][:2]], 0.9, 0.95)[0]
    np.testing.assert_allclose(found, np.repeat(expected, 2), rtol=1e-4)


def test_what_an_optimizer_accumulates_is_one_update():
    policy, squares = quick_start(tiny_gpt2(num_layers=1)), []
    for batch_size, steps in ((1, len(PROMPTS)), (len(PROMPTS), None)):
        dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size)
        trainer = keras_irl.IQLearn(policy, value_offset="running")
        trainer.compile(
            keras.optimizers.SGD(0.0, gradient_accumulation_steps=steps)
        )
        trainer.fit(dataset, epochs=3, verbose=0)
        squares.append(float(numpy(trainer.offset.squares)))
    assert squares[0] == pytest.approx(squares[1], rel=1e-5)


def test_an_evaluation_leaves_a_kept_up_offset():
    offset = ValueOffset("running")
    offset.shift(*padded(texts(0)), 0.9, training=True)
    before = [numpy(v) for v in offset.variables]
    offset.shift(*padded(texts(1)), 0.9, training=False)
    for then, now in zip(before, offset.variables, strict=True):
        np.testing.assert_array_equal(then, numpy(now))


def test_texts_that_pin_no_level_leave_a_kept_up_offset():
    mask, goes_on = np.array([[1.0, 0.0]], "float32"), np.array([[True, True]])
    statistics = token_statistics(np.ones((1, 2, 3)), np.zeros((1, 2)))
    offset = ValueOffset("running")
    offset.shift(statistics, mask, 1.0, training=True, continues=goes_on)
    assert float(numpy(offset.offset)) == 0.0
    offset.shift(statistics, mask, 1.0, training=True)
    assert float(numpy(offset.offset)) == pytest.approx(-1.0)
    offset.shift(statistics, mask, 1.0, training=True, continues=goes_on)
    assert float(numpy(offset.offset)) == pytest.approx(-1.0)


@pytest.mark.parametrize("mode", RUNNING)
def test_a_shift_of_all_logits_never_changes_a_kept_up_training(mode):
    policy = quick_start(tiny_gpt2(num_layers=1))
    start = policy.get_weights()
    trainer, losses, logs = train(policy, mode)
    policy.set_weights(start)
    moved, moved_losses, moved_logs = train(shifted(policy), mode)
    np.testing.assert_allclose(losses, moved_losses, rtol=2e-3)
    assert moved.value_offset - trainer.value_offset == pytest.approx(
        -SHIFT, abs=0.02
    )
    for name in ("reward", "start_value", "gradient_norm"):
        np.testing.assert_allclose(
            logs[name], moved_logs[name], rtol=1e-2, atol=1e-2, err_msg=name
        )


def test_a_kept_up_offset_is_saved_with_its_sums_and_decay(tmp_path):
    policy = quick_start(tiny_policy("t5", num_layers=1))
    given = ValueOffset("running", decay=0.5)
    trainer, _, _ = train(policy, given)
    # The one that was passed may serve another trainer.
    assert float(numpy(given.offset)) == 0.0
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    assert loaded.offset.decay == 0.5
    assert trainer.value_offset == loaded.value_offset != 0.0
    for ours, theirs in zip(
        trainer.offset.variables, loaded.offset.variables, strict=True
    ):
        assert numpy(ours) == numpy(theirs) != 0.0


def test_rewards_are_read_with_the_offset_that_was_found():
    policy = quick_start(tiny_gpt2(num_layers=1))
    trainer, _, _ = train(policy, "running")
    texts = (PROMPTS[:1], RESPONSES[:1])

    def rewards(model, **numbers):
        (text,) = keras_irl.rewards.token_rewards(model, *texts, **numbers)
        return text.rewards

    found = rewards(trainer)
    level = trainer.value_offset
    same = rewards(policy, discount=1.0, value_offset=level)
    np.testing.assert_allclose(found, same, rtol=1e-5)
    without = rewards(policy, discount=1.0, value_offset=0.0)
    assert level != 0.0
    np.testing.assert_allclose(found[-1] - without[-1], level, rtol=1e-4)


@pytest.mark.parametrize("decay", [1.0, -0.1, None])
def test_what_is_no_decay_is_refused(decay):
    with pytest.raises(ValueError, match="decay.*Received: decay="):
        ValueOffset("running", decay=decay)
