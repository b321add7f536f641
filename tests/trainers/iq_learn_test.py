import numpy as np
import oracles
import pytest
from testing import numpy
from testing import ragged_batch
from testing import tiny_gpt2

import keras_irl
from keras_irl.ops import encode_sample_weight
from keras_irl.ops import token_statistics


@pytest.fixture(scope="module")
def policy():
    return tiny_gpt2()


def terms_of(trainer):
    q_values, actions, mask = ragged_batch()
    terms = trainer.token_losses(token_statistics(q_values, actions), mask)
    return {name: numpy(term) for name, term in terms.items()}


def test_terms_are_those_of_the_equation(policy):
    trainer = keras_irl.IQLearn(policy, 0.4, 0.9)
    found = sum(terms_of(trainer).values())
    q_values, actions, mask = ragged_batch()
    for row, length in enumerate(mask.sum(axis=1).astype(int)):
        expected = oracles.iq_learn_loss(
            q_values[row, :length], actions[row, :length], 0.9, 0.4
        )
        np.testing.assert_allclose(
            found[row, :length], expected, rtol=1e-4, atol=1e-4
        )


def test_where_a_text_was_cut_is_read_off_the_sample_weight(policy):
    q_values, actions, mask = ragged_batch(lengths=(5, 4), extra=1)
    continues = mask > 0
    continues[1, 4] = True
    weight = encode_sample_weight(mask, continues)
    trainer = keras_irl.IQLearn(policy, 0.4, 0.9)
    found, ended = (
        float(trainer.compute_loss(None, actions, q_values, sign, False))
        for sign in (weight, mask)
    )
    loss = keras_irl.losses.IQLearnLoss(0.4, 0.9)
    assert found == pytest.approx(float(loss(actions, q_values, weight)))
    assert ended == pytest.approx(float(loss(actions, q_values, mask)))
    assert abs(found - ended) > 1e-2


def test_the_penalty_begins_after_the_warmup(policy):
    trainer = keras_irl.IQLearn(policy, 0.4, warmup_steps=2)
    plain = terms_of(keras_irl.IQLearn(policy, 0.4))
    found = []
    for step in range(4):
        trainer.step.assign(step)
        found.append(terms_of(trainer)["td_loss"])
    for zeros in found[:2]:
        assert not zeros.any()
    for penalties in found[2:]:
        np.testing.assert_allclose(penalties, plain["td_loss"], rtol=1e-6)


def test_what_it_was_made_with_is_saved(policy):
    trainer = keras_irl.IQLearn(
        policy,
        td_weight=0.3,
        discount=0.5,
        divergence="hellinger",
        stop_value_gradient=True,
        warmup_steps=7,
    )
    config = trainer.get_config()
    expected = {
        "td_weight": 0.3,
        "discount": 0.5,
        "divergence": "hellinger",
        "stop_value_gradient": True,
        "warmup_steps": 7,
    }
    assert {name: config[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("divergence", "kl"),
        ("stop_value_gradient", 1.5),
        ("td_weight", -1.0),
        ("warmup_steps", -1),
        ("discount", 1.5),
    ],
)
def test_arguments_out_of_range_are_refused(policy, name, wrong):
    with pytest.raises(ValueError, match=f"Received: .*{name}="):
        keras_irl.IQLearn(policy, **{name: wrong})
