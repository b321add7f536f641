import numpy as np
import pytest
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.cli.objectives import check_objectives
from keras_irl.cli.objectives import find_objectives
from keras_irl.cli.parser import parse_arguments
from keras_irl.generation.samplers import TokenSampler


def objectives(arguments):
    options = parse_arguments(["compare", "--task=e2e", *arguments.split()])
    return find_objectives(options)


def made(arguments, seed=0):
    """A trainer of each policy."""
    policy = quick_start(tiny_gpt2(num_layers=1))
    return {
        name: objective.make_trainer(policy, seed)
        for name, objective in objectives(arguments).items()
    }


def test_every_objective_has_its_trainer():
    trainers = made(
        "--objectives mle,mle-entropy,iqlearn --entropy-weight 0.2 "
        "--td-weight 0.3 --discount 0.9 --divergence hellinger"
    )
    assert list(trainers) == ["mle", "mle-entropy", "iqlearn"]
    mle, mle_entropy, iqlearn = trainers.values()
    assert type(mle) is type(mle_entropy) is keras_irl.MLE
    assert mle.entropy_weight == 0.0
    assert mle_entropy.entropy_weight == 0.2
    assert type(iqlearn) is keras_irl.IQLearn
    assert iqlearn.td_weight.constant == 0.3
    assert iqlearn.discount == 0.9
    assert iqlearn.divergence == "hellinger"


def test_online_objectives_are_told_their_numbers():
    trainers = made(
        "--objectives online-iqlearn,gail --td-weight 0.3 --discount 0.9 "
        "--mix-in 0.2 --num-rollouts 3 --value-offset=-2 "
        "--td-warm-up-steps 5 --reward-form log_sigmoid --mle-weight 0.4 "
        "--gail-warm-up-steps 7"
    )
    online, gail = trainers.values()
    assert type(online) is keras_irl.OnlineIQLearn
    assert online.discount == gail.discount == 0.9
    assert online.rollouts.num_samples == gail.rollouts.num_samples == 3
    assert online.mix_in == 0.2
    assert online.value_offset == -2.0
    weights = [float(online.td_weight(step)) for step in (0, 4, 5)]
    assert weights == pytest.approx([0.0, 0.0, 0.3])
    assert type(gail) is keras_irl.GAIL
    assert gail.reward_form == "log_sigmoid"
    assert gail.mle_weight == 0.4
    assert gail.policy_gradient.warmup_steps == 7


def test_each_run_draws_rollouts_of_its_own():
    # What they draw follows from the state of their noise.
    for seed in (0, 1, 7):
        expected = numpy(TokenSampler(1, seed=seed).seed_generator.state)
        for trainer in made("--objectives online-iqlearn,gail", seed).values():
            noise = trainer.rollouts.seed_generator
            np.testing.assert_array_equal(numpy(noise.state), expected)


def test_gail_has_steps_and_a_learning_rate_of_its_own():
    found = objectives(
        "--objectives mle,gail --steps 500 --gail-steps 900 "
        "--gail-learning-rate 0.001 --learning-rate 0.01 "
        "--final-learning-rate 0.1"
    )
    mle, gail = found["mle"], found["gail"]
    assert (mle.options.steps, gail.options.steps) == (500, 900)
    assert mle.options.learning_rate == 0.01
    assert gail.options.learning_rate == 0.001
    assert mle.options.final_learning_rate == 0.1
    assert gail.options.final_learning_rate == 1.0
    assert gail.is_second_stage and not mle.is_second_stage


def test_a_gail_that_would_never_train_its_policy_is_refused():
    with pytest.raises(ValueError, match="gail-warm-up-steps.*Received"):
        objectives("--objectives gail --steps 200")


def test_several_td_weights_give_a_policy_each():
    arguments = "--objectives mle,iqlearn,online-iqlearn --td-weight 0,0.1"
    trainers = made(arguments)
    assert list(trainers) == [
        "mle",
        "iqlearn 0",
        "iqlearn 0.1",
        "online-iqlearn 0",
        "online-iqlearn 0.1",
    ]
    weights = [t.td_weight.constant for t in [*trainers.values()][1:]]
    assert weights == [0.0, 0.1, 0.0, 0.1]


def test_weights_that_are_nearly_equal_are_two_policies():
    trainers = made("--objectives iqlearn --td-weight 0.1,0.1000001")
    assert list(trainers) == ["iqlearn 0.1", "iqlearn 0.1000001"]
    weights = [t.td_weight.constant for t in trainers.values()]
    assert weights == [0.1, 0.1000001]


def test_several_value_offsets_give_a_policy_each():
    trainers = made(
        "--objectives mle,iqlearn,online-iqlearn --value-offset=-20,0.5,auto"
    )
    assert list(trainers) == [
        "mle",
        "iqlearn offset -20",
        "iqlearn offset 0.5",
        "iqlearn offset auto",
        "online-iqlearn offset -20",
        "online-iqlearn offset 0.5",
        "online-iqlearn offset auto",
    ]
    offsets = [t.offset.value_offset for t in [*trainers.values()][1:]]
    assert offsets == 2 * [-20.0, 0.5, "auto"]


def test_weights_and_offsets_are_combined():
    found = objectives(
        "--objectives iqlearn --td-weight 0,1 --value-offset 0,2"
    )
    assert {name: o.settings for name, o in found.items()} == {
        "iqlearn 0 offset 0": {"td_weight": 0.0, "value_offset": 0.0},
        "iqlearn 0 offset 2": {"td_weight": 0.0, "value_offset": 2.0},
        "iqlearn 1 offset 0": {"td_weight": 1.0, "value_offset": 0.0},
        "iqlearn 1 offset 2": {"td_weight": 1.0, "value_offset": 2.0},
    }


def test_what_writes_itself_needs_a_position_more():
    policy = tiny_gpt2(max_length=16)
    limit = policy.backbone.max_sequence_length
    for length, names in ((limit - 1, ""), (limit, "online-iqlearn,gail")):
        policy.preprocessor.sequence_length = length
        for name in ("mle", "iqlearn", "online-iqlearn", "gail"):
            found = objectives(f"--objectives {name}")
            if name not in names.split(","):
                check_objectives(found, policy)
                continue
            message = (
                f"{name} can't train this policy.*has {limit}. Pass a "
                f"`--max-length` of {limit - 1} at most.*"
                f"Received: max_length={limit}"
            )
            with pytest.raises(ValueError, match=message):
                check_objectives(found, policy)


def test_a_policy_that_an_objective_can_not_train_is_refused():
    policy = tiny_gpt2()
    policy.preprocessor = None
    check_objectives(objectives("--objectives mle,iqlearn"), policy)
    message = "preprocessor.*Received: policy.preprocessor"
    with pytest.raises(ValueError, match=message):
        check_objectives(objectives("--objectives mle,gail"), policy)


def test_a_kept_up_offset_has_the_decay_it_was_given():
    trainers = made(
        "--objectives iqlearn,online-iqlearn --value-offset running "
        "--value-offset-decay 0.5"
    )
    for trainer in trainers.values():
        assert trainer.offset.get_config() == {
            "value_offset": "running",
            "decay": 0.5,
        }
