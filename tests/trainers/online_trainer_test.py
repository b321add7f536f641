import pathlib
import traceback

import keras
import numpy as np
import pytest
from testing import numpy
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.generation import TokenSampler
from keras_irl.ops import TokenMask
from keras_irl.ops import TokenStatistics
from keras_irl.trainers.online_trainer import OnlineTrainer
from keras_irl.trainers.rollouts import Rollouts


class Counter(OnlineTrainer):
    """Has losses that tell demonstrations and rollouts apart."""

    loss_names = ("value_loss",)
    demonstration_weight = 10.0

    def token_losses(self, statistics, mask):
        return {"value_loss": statistics.values}

    def rollout_loss(self, statistics, mask, batch):
        return keras.ops.sum(statistics.values * mask)


@pytest.fixture(scope="module")
def trainer():
    rollouts = Rollouts(num_samples=2)
    trainer = Counter(tiny_gpt2(max_length=24), rollouts=rollouts)
    trainer.compile("sgd")
    return trainer


def test_demonstrations_come_first_and_then_their_rollouts(trainer):
    tokens = np.arange(12).reshape(6, 2)
    demonstrated, sampled = trainer.split(tokens)
    np.testing.assert_array_equal(demonstrated, tokens[:2])
    np.testing.assert_array_equal(sampled, tokens[2:])


def test_the_loss_is_that_of_both_each_with_its_weight(trainer):
    # One demonstration that was cut, and two rollouts that ended.
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 1, 0, 0]], "float32")
    continues = mask > 0
    continues[0, 3] = True
    values = np.arange(12, dtype="float32").reshape(3, 4)
    statistics = TokenStatistics(*[keras.ops.convert_to_tensor(values)] * 4)
    trainer.reset_metrics()
    mask = TokenMask(*map(keras.ops.convert_to_tensor, (mask, continues)))
    loss = trainer.batch_loss(statistics, mask, True, ())
    # Ten times the mean of 0, 1 and 2, and the sum of 4, 5 and 9.
    assert float(loss) == pytest.approx(10 * 1.0 + 18.0)
    logged = {
        name: float(mean.result()) for name, mean in trainer.means.items()
    }
    assert logged["demonstration_length"] == 3
    assert logged["rollout_length"] == 1.5
    assert logged["demonstration_finished"] == 0
    assert logged["rollout_finished"] == 1
    assert logged["rollout_entropy"] == pytest.approx(6.0)


def test_only_the_tokens_of_demonstrations_weigh_a_batch(trainer):
    mask = keras.ops.convert_to_tensor(
        np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0]], "float32")
    )
    assert float(trainer.num_demonstrated(mask, training=True)) == 3
    assert float(trainer.num_demonstrated(mask, training=False)) == 6


def test_a_batch_is_extended_by_answers_to_its_prompts(trainer):
    batch = demonstrations(trainer.policy, ["the fox"], ["a dog"], 1)[0]
    batch = keras.tree.map_structure(keras.ops.convert_to_tensor, batch)
    x, actions, mask = keras.tree.map_structure(numpy, trainer.extend(batch))
    assert actions.shape == mask.shape == (3, 24)
    np.testing.assert_array_equal(actions[0], numpy(batch[1])[0])
    start = np.flatnonzero(mask[0])[0]
    for row in x["token_ids"][1:]:
        np.testing.assert_array_equal(
            row[: start + 1], x["token_ids"][0, : start + 1]
        )
    assert mask[1:].any(axis=1).all()


def test_what_is_logged_of_rollouts_is_left_out_where_there_are_none(trainer):
    dataset = demonstrations(trainer.policy, ["a", "b"], ["c", "d"], 2)
    logs = trainer.evaluate(dataset, verbose=0, return_dict=True)
    assert not set(logs) & set(trainer.rollout_names)
    assert "value_loss" in logs


def test_metrics_of_keras_would_see_rollouts(trainer):
    other = Counter(trainer.policy)
    with pytest.raises(ValueError, match="rollouts too.*Received: metrics="):
        other.compile("sgd", metrics=["accuracy"])


class ReachedError(Exception):
    pass


def test_five_functions_lie_between_a_step_and_its_sampler(monkeypatch):
    passed = []

    def reached(*args, **kwargs):
        folder = str(pathlib.Path(keras_irl.__file__).parent)
        stack = traceback.extract_stack()[:-1]
        passed.extend(f.name for f in stack if f.filename.startswith(folder))
        raise ReachedError

    monkeypatch.setattr(TokenSampler, "__call__", reached)
    trainer = Counter(tiny_gpt2(max_length=24))
    trainer.compile("sgd", run_eagerly=True)
    data = demonstrations(trainer.policy, ["a"], ["b"], batch_size=1)
    with pytest.raises(ReachedError):
        trainer.train_on_batch(*next(iter(data)))
    step = passed[passed.index("train_step") :]
    # Keras calls the layer that draws once more, to tell it that it does not
    # train.
    assert list(dict.fromkeys(step)) == [
        *("train_step", "extend", "append", "draw", "call"),
    ]
