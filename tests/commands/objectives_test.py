from testing import tiny_policy

import keras_irl
from keras_irl.commands.arguments import parse_arguments
from keras_irl.commands.objectives import trainer_makers


def makers(arguments):
    options = parse_arguments(["compare", "--task=e2e", *arguments.split()])
    return trainer_makers(options)


def test_every_objective_has_its_trainer():
    policy = tiny_policy("t5")
    made = {
        name: make(policy)
        for name, make in makers(
            "--objectives mle,mle-entropy,iqlearn --entropy-weight 0.2 "
            "--td-weight 0.3 --discount 0.9 --divergence hellinger"
        ).items()
    }
    assert list(made) == ["mle", "mle-entropy", "iqlearn"]
    assert type(made["mle"]) is type(made["mle-entropy"]) is keras_irl.MLE
    assert made["mle"].entropy_weight == 0.0
    assert made["mle-entropy"].entropy_weight == 0.2
    assert type(made["iqlearn"]) is keras_irl.IQLearn
    assert made["iqlearn"].td_weight.constant == 0.3
    assert made["iqlearn"].discount == 0.9
    assert made["iqlearn"].divergence == "hellinger"


def test_several_td_weights_give_a_policy_each():
    made = makers("--objectives mle,iqlearn --td-weight 0,0.1")
    assert list(made) == ["mle", "iqlearn 0", "iqlearn 0.1"]
    policy = tiny_policy("t5")
    weights = [make(policy).td_weight.constant for make in [*made.values()][1:]]
    assert weights == [0.0, 0.1]
