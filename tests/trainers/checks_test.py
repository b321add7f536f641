import warnings

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.trainers.checks import check_data


@pytest.fixture(scope="module")
def trainer():
    trainer = keras_irl.MLE(tiny_policy("gpt2"))
    trainer.compile(keras.optimizers.SGD(0.0))
    return trainer


@pytest.fixture(scope="module")
def dataset(trainer):
    return demonstrations(trainer.policy, PROMPTS, RESPONSES, batch_size=2)


def untrained(batch):
    inputs, actions, mask = batch
    return inputs, actions, 0.0 * mask


def left_padded(inputs, actions, mask):
    flipped = {name: array[:, ::-1] for name, array in inputs.items()}
    return flipped, actions[:, ::-1], mask[:, ::-1]


def with_trained_padding(inputs, actions, mask):
    return inputs, actions, np.ones_like(mask)


def shifted(inputs, actions, mask):
    return inputs, inputs["token_ids"], mask


def of_another_vocabulary(inputs, actions, mask):
    return inputs, np.where(mask > 0, actions, -100), mask


def fit(trainer, batch):
    inputs, actions, mask = batch
    return trainer.fit(inputs, actions, sample_weight=mask, verbose=0)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda *batch: untrained(batch), "nothing-trained"),
        (left_padded, "left-padding"),
        (with_trained_padding, "padding-trained"),
        (shifted, "not-the-next-token"),
        (of_another_vocabulary, "ids-outside-the-vocabulary"),
    ],
)
def test_what_would_train_wrongly_is_refused(trainer, dataset, spoil, name):
    spoilt = spoil(*dataset[0])
    with pytest.raises(ValueError, match=f"Received: {name} in the first 2"):
        fit(trainer, [keras.tree.map_structure(np.array, a) for a in spoilt])
    # The weights are still there, also under JAX.
    assert np.isfinite(numpy(trainer.policy.weights[0])).all()


def test_demonstrations_that_train_nothing_are_refused(trainer, dataset):
    with pytest.raises(ValueError, match="nothing-trained in the first 0 "):
        trainer.fit(dataset.map(untrained), verbose=0)


def test_what_may_be_meant_is_warned_of(trainer, dataset):
    inputs, actions, mask = dataset[0]
    end = trainer.policy.preprocessor.tokenizer.end_token_id
    without_end = np.where(actions == end, 0.0, mask)
    with pytest.warns(UserWarning, match="No end token is trained"):
        fit(trainer, (inputs, actions, without_end))
    prompts_too = inputs["padding_mask"].astype("float32")
    with pytest.warns(UserWarning, match="the very first token is trained"):
        fit(trainer, (inputs, actions, prompts_too))


def test_later_batches_can_make_up_for_an_empty_one(trainer, dataset):
    first_actions = dataset[0][1]

    def without_the_first(batch):
        is_first = batch[1].shape == first_actions.shape
        is_first = is_first and (batch[1] == first_actions).all()
        return untrained(batch) if is_first else batch

    with pytest.warns(UserWarning, match="1 of 2 batches train no token"):
        trainer.fit(dataset.map(without_the_first), verbose=0)
    inputs, actions, mask = dataset[0]
    rows = [np.repeat(array, 300, axis=0) for array in (actions, mask)]
    rows[1][:599] = 0.0
    inputs = {name: np.repeat(x, 300, axis=0) for name, x in inputs.items()}
    check_data(trainer.policy, inputs, *rows, owner="MLE")


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_nothing_is_said_of_what_is_right_or_can_not_be_read_twice(
    trainer, dataset
):
    cut = demonstrations(trainer.policy, PROMPTS, RESPONSES, 1, max_length=21)
    batches = iter([dataset[0], dataset[1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for data in (dataset, cut, dataset.epochs(1), dataset[0], batches):
            x, y, mask = data if isinstance(data, tuple) else (data, None, None)
            check_data(trainer.policy, x, y, mask, owner="MLE")
    assert len([*batches]) == 2


def test_arrays_without_a_mask_are_refused_before_anything_is_lost(
    trainer, dataset
):
    inputs, actions, _ = dataset[0]
    with pytest.raises(ValueError, match="Received: sample_weight=None"):
        trainer.fit(inputs, actions, verbose=0)
    assert np.isfinite(numpy(trainer.policy.weights[0])).all()


def test_an_evaluation_without_tokens_is_no_best(trainer, dataset):
    logs = trainer.evaluate(dataset.map(untrained), verbose=0, return_dict=True)
    for name in ("loss", "negative_log_likelihood", "perplexity"):
        assert np.isnan(logs[name]), name
