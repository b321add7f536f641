"""Numbers of trainers and models are checked when these are made."""

import keras
import numpy as np
import pytest
from testing import tiny_gpt2
from testing import tiny_t5

import keras_irl
from keras_irl import models
from keras_irl.losses import IQLearnLoss
from keras_irl.losses import MLELoss
from keras_irl.trainers.rollouts import ReplayBuffer
from keras_irl.trainers.value_offset import ValueOffset

NO_NUMBERS = ("0.5", None, float("nan"), float("inf"), [0.5], -1.0, True)
NO_INTEGERS = ("1", None, 1.5, -1, 10**400, True)


@pytest.fixture(scope="module")
def policy():
    return tiny_t5(num_layers=1)


@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize(
    "make, name",
    (
        (lambda policy: keras_irl.IQLearn, "discount"),
        (lambda policy: keras_irl.IQLearn, "td_weight"),
        (lambda policy: keras_irl.OnlineIQLearn, "discount"),
        (lambda policy: keras_irl.OnlineIQLearn, "td_weight"),
        (lambda policy: keras_irl.OnlineIQLearn, "mix_in"),
        (lambda policy: keras_irl.MLE, "entropy_weight"),
        (lambda policy: keras_irl.MLE, "discount"),
        (lambda policy: keras_irl.GAIL, "mle_weight"),
        (lambda policy: IQLearnLoss, "discount"),
        (lambda policy: IQLearnLoss, "td_weight"),
        (lambda policy: MLELoss, "entropy_weight"),
    ),
)
def test_what_is_no_number_in_range_is_refused(policy, make, name, wrong):
    made = make(policy)
    arguments = (policy,) if issubclass(made, keras.Model) else ()
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        made(*arguments, **{name: wrong})


@pytest.mark.parametrize("wrong", NO_INTEGERS, ids=repr)
def test_what_is_no_integer_is_refused(policy, wrong):
    for name, make in {
        "warmup_steps": lambda wrong: keras_irl.IQLearn(
            policy, warmup_steps=wrong
        ),
        "initial_step": lambda wrong: IQLearnLoss(initial_step=wrong),
        "rank": lambda wrong: models.enable_lora(policy, rank=wrong),
        "buffer_size": lambda wrong: ReplayBuffer(wrong, policy, 0),
        "seed": lambda wrong: ReplayBuffer(3, policy, wrong),
    }.items():
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            make(wrong)


@pytest.mark.parametrize("wrong", ("off", None, float("nan"), [1.0], True))
def test_an_offset_is_a_number_or_found(wrong):
    with pytest.raises(ValueError, match="auto.*Received: value_offset="):
        ValueOffset(wrong)
    assert ValueOffset(np.float32(-2.5)).value_offset == -2.5


def test_numbers_of_numpy_are_numbers_and_come_back_plain(policy):
    trainer = keras_irl.IQLearn(
        policy,
        td_weight=np.float32(0.25),
        discount=np.array(0.5),
        warmup_steps=np.int64(3),
        value_offset=np.int32(2),
    )
    config = trainer.get_config()
    for name, value in {
        "td_weight": 0.25,
        "discount": 0.5,
        "warmup_steps": 3,
        "value_offset": 2.0,
    }.items():
        assert config[name] == value and type(config[name]) in (int, float)
    online = keras_irl.OnlineIQLearn(policy, mix_in=np.float64(0.5))
    assert type(online.mix_in) is float
    loss = IQLearnLoss(np.array(0.5), np.float32(1.0), initial_step=np.int8(4))
    assert loss.get_config()["initial_step"] == 4
    other = tiny_gpt2(num_layers=1)
    assert models.enable_lora(other, rank=np.int64(2)) == (
        models.enable_lora(tiny_gpt2(num_layers=1), rank=2)
    )


@pytest.mark.parametrize("names", ("query", [1], [["query"]], [None], {}))
def test_layers_are_named_by_a_list_of_strings(names):
    with pytest.raises(ValueError, match="Received: target_layer_names="):
        models.enable_lora(tiny_gpt2(num_layers=1), target_layer_names=names)


@pytest.mark.parametrize("wrong", ("gpt2", None, 3, keras.Sequential()))
def test_what_is_no_language_model_is_refused_by_name(wrong):
    for function in (
        models.enable_lora,
        models.AdaptedScorer,
        models.copy_policy,
        models.rematerialize,
        models.TokenScorer,
        keras_irl.GAIL,
    ):
        with pytest.raises(ValueError, match="Received: policy="):
            function(wrong)


@pytest.mark.parametrize("name", ("divergence", "reward_form"))
@pytest.mark.parametrize("wrong", (None, 3, ["chi2"], "Chi2", {}))
def test_a_choice_is_one_of_the_texts(policy, name, wrong):
    made = {"divergence": keras_irl.IQLearn, "reward_form": keras_irl.GAIL}
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        made[name](policy, **{name: wrong})


@pytest.mark.parametrize("wrong", ("no", None, 2, [True], np.ones(2)), ids=repr)
def test_a_flag_is_true_or_false(policy, wrong):
    for made, name in (
        (keras_irl.IQLearn, "stop_value_gradient"),
        (keras_irl.OnlineIQLearn, "scale_td_weight"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            made(policy, **{name: wrong})
        trainer = made(policy, **{name: np.bool_(True)})
        assert trainer.get_config()[name] is True


@pytest.mark.parametrize("wrong", (object(), 3, "rubbish", [], {"a": 1}))
def test_an_optimizer_is_one_or_the_name_of_one(policy, wrong):
    with pytest.raises(ValueError, match="Received: optimizer="):
        keras_irl.MLE(policy).compile(optimizer=wrong)
    with pytest.raises(ValueError, match="Received: optimizer=None"):
        keras_irl.MLE(policy).compile(optimizer=None)
    gail = keras_irl.GAIL(policy)
    for name in ("optimizer", "discriminator_optimizer", "value_optimizer"):
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            gail.compile(**{name: wrong})


@pytest.mark.parametrize("wrong", (0, -1, 1.5, "3", "auto", None))
def test_executions_have_a_whole_number_of_steps(policy, wrong):
    with pytest.raises(ValueError, match="Received: steps_per_execution="):
        keras_irl.MLE(policy).compile(steps_per_execution=wrong)
