"""What `fit` of keras-hub says of demonstrations, and of anything else."""

import gc
import logging
import warnings

import keras
import pytest
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.expected_warnings import IN_COMMANDS
from keras_irl.expected_warnings import HiddenWarnings
from keras_irl.losses import IQLearnLoss

MASK = (
    "Layer 'attention' (of type {}) was passed an input with a mask attached "
    "to it. However, this layer does not support masking and will therefore "
    "destroy the mask information"
)
SHUFFLE = (
    "`shuffle=True` was passed, but will be ignored since the data `x` was "
    "provided as a {}"
)


def test_a_policy_is_fitted_in_silence(capfd, caplog):
    policy = tiny_policy("t5")
    policy.compile(loss=IQLearnLoss())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        data = demonstrations(policy, ["a fox", "a dog"], ["jumps", "lies"], 2)
        policy.fit(data, verbose=0)
    printed = capfd.readouterr()
    assert (printed.out, printed.err, caplog.messages) == ("", "", [])


@pytest.mark.parametrize(
    ("message", "is_hidden"),
    [
        (MASK.format("T5MultiHeadAttention"), True),
        (MASK.format("MyAttention"), False),
        (SHUFFLE.format("grain dataset"), True),
        (SHUFFLE.format("tf.data.Dataset"), False),
    ],
)
def test_only_what_is_meant_to_be_so_is_hidden(message, is_hidden):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with HiddenWarnings():
            warnings.warn(message, stacklevel=1)
    assert len(shown) == (not is_hidden)


# Under TensorFlow, what another test has fitted may still be held.
@pytest.mark.backends("torch")
def test_other_lines_of_grain_are_told(caplog):
    logger = logging.getLogger("absl")
    with HiddenWarnings():
        logger.warning("prefetch_buffer_size=%s is smaller than num_threads", 8)
        logger.warning("the data set is empty")
    assert caplog.messages == ["the data set is empty"]
    logger.warning("prefetch_buffer_size=%s is smaller than num_threads", 8)
    assert len(caplog.messages) == 2


def test_exactly_what_is_expected_is_hidden():
    expected = [
        "Layer 'a' (of type B) was passed an input with a mask attached to "
        "it. However, this layer does not support masking and will therefore "
        "destroy the mask information. Downstream layers will not see it.",
        "`compile()` was not called as part of model loading because the",
        "`shuffle=True` was passed, but will be ignored since the data `x` "
        "was provided as a grain dataset. The grain dataset",
    ]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with HiddenWarnings(IN_COMMANDS):
            for text in (*expected, "`shuffle=True` is something else"):
                warnings.warn(text, UserWarning, stacklevel=1)
    assert [str(w.message) for w in seen] == [
        "`shuffle=True` is something else"
    ]


def filters():
    # What has ended may still be referred to by itself.
    gc.collect()
    return [*warnings.filters], [*logging.getLogger("absl").filters]


def test_filters_of_others_are_left_alone():
    before = filters()
    first = HiddenWarnings()
    with HiddenWarnings():
        warnings.filterwarnings("error", "somebody's own", UserWarning)
        first.end()
        assert len(filters()[0]) == len(before[0]) + 3
    assert filters()[0][0][0] == "error"
    assert filters()[0][1:] == before[0] and filters()[1] == before[1]


def test_filters_end_outside_of_a_copy_that_was_made_meanwhile():
    before = filters()
    hidden = HiddenWarnings()
    with warnings.catch_warnings():
        hidden.end()
        assert filters() == before
    assert filters() == before


# TensorFlow keeps what has read the data, with the functions of its graph.
@pytest.mark.backends("jax", "torch")
@pytest.mark.parametrize("streams", [False, True])
def test_a_fit_leaves_the_filters_as_they_were(streams):
    policy = tiny_policy("gpt2")
    policy.compile(loss=IQLearnLoss())
    before = filters()
    data = demonstrations(policy, ["a fox", "a dog"], ["jumps", "lies"], 2)
    assert filters() == before
    during = []
    noted = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: during.append(filters())
    )
    policy.fit(
        data.epochs(1) if streams else data,
        steps_per_epoch=1,
        callbacks=[noted],
        verbose=0,
    )
    assert filters() == before
    (within,) = during
    assert len(within[0]) > len(before[0]) and len(within[1]) > len(before[1])


def test_the_fit_of_a_trainer_leaves_the_filters_as_they_were():
    trainer = keras_irl.MLE(tiny_policy("gpt2"))
    trainer.compile()
    before = filters()
    data = demonstrations(
        trainer.policy, ["a fox", "a dog"], ["jumps", "lies"], 2
    )
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        trainer.fit(data, verbose=0)
        trainer.evaluate(data, verbose=0)
    assert filters() == before
    assert [str(w.message) for w in shown if "shuffle" in str(w.message)] == []
