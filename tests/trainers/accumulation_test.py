import keras
import numpy as np
import pytest
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.trainers.update_counter import UpdateCounter

# Others take 10 s to compile.
in_one_backend = pytest.mark.backends("torch")
PROMPTS = ["a"] * 6
# Batches of two differ greatly in their number of tokens.
RESPONSES = ["b", "c", "the quick brown fox", "the lazy dog", "d", "a b c d e"]


class Growing(keras.optimizers.schedules.LearningRateSchedule):
    """A weight that grows with the updates."""

    def __call__(self, step):
        return 0.2 + 0.2 * keras.ops.cast(step, "float32")


def weights_after(
    policy, start, batch_size, optimizer, epochs=1, td_weight=0.1, warm_up=0
):
    policy.set_weights(start)
    # An offset that is kept up goes by its first batch in the first update.
    trainer = keras_irl.IQLearn(
        policy, td_weight, warmup_steps=warm_up, value_offset=0
    )
    trainer.compile(optimizer)
    # Compiled again, the same optimizer must not weigh twice.
    trainer.compile(optimizer)
    trainer.fit(
        demonstrations(policy, PROMPTS, RESPONSES, batch_size),
        epochs=epochs,
        verbose=0,
    )
    # One update an epoch.
    assert int(numpy(trainer.step)) == epochs
    return [numpy(weight) for weight in policy.weights]


def distance(left, right):
    pairs = zip(left, right, strict=True)
    return np.sqrt(sum(np.sum((a - b) ** 2) for a, b in pairs))


@pytest.mark.parametrize(("td_weight", "warm_up"), [(0.1, 0), (Growing(), 1)])
def test_accumulated_batches_are_one_large_batch(td_weight, warm_up):
    policy = quick_start(tiny_gpt2(max_length=32, num_layers=1))
    start = policy.get_weights()
    whole, parts = (
        weights_after(
            policy,
            start,
            size,
            keras.optimizers.SGD(0.1, gradient_accumulation_steps=count),
            2,
            td_weight,
            warm_up,
        )
        for size, count in ((6, None), (2, 3))
    )
    moved = distance(whole, start)
    assert distance(whole, parts) < 1e-3 * moved


@in_one_backend
def test_the_mean_of_means_that_keras_takes_is_something_else():
    policy = quick_start(tiny_gpt2(max_length=32))
    start = policy.get_weights()
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    parts = weights_after(policy, start, 2, optimizer, epochs=2)
    moved = distance(parts, start)
    policy.set_weights(start)
    policy.compile(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
        loss=keras_irl.losses.IQLearnLoss(td_weight=0.1),
    )
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)
    policy.fit(data, epochs=2, verbose=0)
    means = [numpy(weight) for weight in policy.weights]
    assert distance(parts, means) > 0.03 * moved


def test_loss_scaling_is_wrapped_anew_around_the_same_optimizer():
    policy = quick_start(tiny_gpt2(max_length=32))
    start = policy.get_weights()
    ends = []
    for count in (1, 2):
        policy.set_weights(start)
        inner = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
        trainer = keras_irl.MLE(policy)
        for _ in range(count):
            trainer.compile(keras.optimizers.LossScaleOptimizer(inner))
        data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)
        trainer.fit(data, verbose=0)
        ends.append([numpy(weight) for weight in policy.weights])
    assert distance(ends[0], start) > 0
    assert distance(*ends) < 1e-4 * distance(ends[0], start)


def test_clipping_sees_the_accumulated_gradient():
    policy = quick_start(tiny_gpt2(max_length=32))
    start = policy.get_weights()
    optimizer = keras.optimizers.SGD(
        1.0, gradient_accumulation_steps=3, global_clipnorm=1e-3
    )
    ends = weights_after(policy, start, 2, optimizer)
    assert distance(ends, start) == pytest.approx(1e-3, rel=1e-2)


def test_another_optimizer_starts_its_update_anew():
    counter = UpdateCounter()
    first, second = (
        keras.optimizers.SGD(gradient_accumulation_steps=3) for _ in range(2)
    )
    counter.follow(first)
    counter.count_batch()
    counter.follow(keras.optimizers.LossScaleOptimizer(first))
    assert int(numpy(counter.num_waiting)) == 1
    counter.follow(second)
    steps = []
    for _ in range(6):
        counter.count_batch()
        steps.append(int(numpy(counter.step)))
    assert steps == [0, 0, 1, 1, 1, 2]


@in_one_backend
def test_an_adversary_counts_the_updates_of_its_policy():
    policy = quick_start(tiny_gpt2(max_length=32))
    at_once = keras_irl.PolicyGradient(warmup_steps=0)
    trainer = keras_irl.GAIL(policy, policy_gradient=at_once)
    trainer.compile(keras.optimizers.SGD(0.1, gradient_accumulation_steps=3))
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)
    trainer.fit(data, epochs=2, verbose=0)
    assert int(numpy(trainer.step)) == 2
