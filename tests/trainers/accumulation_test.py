import keras
import numpy as np
import pytest
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations

PROMPTS = ["a"] * 6
# Batches of two differ greatly in their number of tokens.
RESPONSES = ["b", "c", "the quick brown fox", "the lazy dog", "d", "a b c d e"]


def weights_after(policy, start, batch_size, optimizer, epochs=1):
    policy.set_weights(start)
    trainer = keras_irl.IQLearn(policy, td_weight=0.1)
    trainer.compile(optimizer)
    # Compiled again, the same optimizer must not weigh twice.
    trainer.compile(optimizer)
    trainer.fit(
        demonstrations(policy, PROMPTS, RESPONSES, batch_size),
        epochs=epochs,
        verbose=0,
    )
    return [numpy(weight) for weight in policy.weights]


def distance(left, right):
    pairs = zip(left, right, strict=True)
    return np.sqrt(sum(np.sum((a - b) ** 2) for a, b in pairs))


def test_accumulated_batches_are_one_large_batch():
    policy = quick_start(tiny_gpt2(max_length=32))
    start = policy.get_weights()
    whole, parts = (
        weights_after(
            policy,
            start,
            size,
            keras.optimizers.SGD(0.1, gradient_accumulation_steps=count),
            epochs=2,
        )
        for size, count in ((6, None), (2, 3))
    )
    moved = distance(whole, start)
    assert distance(whole, parts) < 1e-3 * moved
    # The mean of the means, which Keras would take, is something else.
    policy.set_weights(start)
    policy.compile(
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
        loss=keras_irl.losses.IQLearnLoss(td_weight=0.1),
    )
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)
    policy.fit(data, epochs=2, verbose=0)
    means = [numpy(weight) for weight in policy.weights]
    assert distance(whole, means) > 0.03 * moved


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
