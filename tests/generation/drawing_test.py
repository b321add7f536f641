import keras
import numpy as np
import pytest
import testing
from keras import ops

from keras_irl.generation import TokenSampler
from keras_irl.generation import draw
from keras_irl.generation import drawn_mask

PROMPTS = list(testing.PROMPTS)


class Drawer(keras.Model):
    """Trains a policy, and draws from it in the same step."""

    def __init__(self, policy, sampler):
        super().__init__()
        self.policy = policy
        self.sampler = sampler
        self.sampler_state = sampler.variables

    def call(self, inputs, training=False):
        tokens = draw(self.policy, inputs, self.sampler)
        # Inherits the mode, which drawing must not have changed.
        logits = self.policy(inputs)
        mask = drawn_mask(tokens, inputs, self.sampler)
        return {"logits": logits, "tokens": tokens, "mask": mask}

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        spread = ops.std(y_pred["logits"])
        # Whatever is made of the tokens has no gradient.
        return spread + 0.0 * ops.mean(ops.cast(y_pred["tokens"], "float32"))


def encoded(policy):
    inputs = policy.preprocessor.generate_preprocess(PROMPTS)
    return {name: ops.convert_to_numpy(x) for name, x in inputs.items()}


def arrays(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


@pytest.fixture(params=testing.FAMILIES)
def policy(request):
    keras.utils.set_random_seed(1)
    policy = testing.tiny_policy(request.param, dropout=0.5, num_layers=1)
    return testing.quick_start(policy)


def test_a_training_step_draws_with_its_weights_and_keeps_the_noise(policy):
    inputs = encoded(policy)
    stop = policy.preprocessor.tokenizer.end_token_id
    sampler = TokenSampler(num_samples=2, stop_token_ids=[stop])
    drawer = Drawer(policy, sampler)
    drawer.compile(keras.optimizers.SGD(0.1))
    names, lender = set(vars(policy)), policy.sampler
    weights = arrays(policy.trainable_variables)
    states = []
    actions = np.zeros((len(PROMPTS), 1))
    for _ in range(2):
        drawer.train_on_batch(inputs, actions)
        states.append(arrays([sampler.seed_generator.state])[0].tolist())
    assert states[0] != states[1]
    after = arrays(policy.trainable_variables)
    assert any((a != b).any() for a, b in zip(weights, after, strict=True))
    assert set(vars(policy)) == names
    assert policy.sampler is lender
    # At temperature 0 all samples are the greedy text of the new weights.
    sampler.prepare(seed=0, temperature=0.0)
    outputs = drawer.predict_on_batch(inputs)
    tokens, mask = outputs["tokens"], outputs["mask"]
    policy.compile(sampler="greedy")
    expected = policy.make_generate_function()(inputs, stop_token_ids=(stop,))
    prefix = "decoder_" if "decoder_token_ids" in inputs else ""
    expected = ops.convert_to_numpy(expected[prefix + "token_ids"])
    expected = np.repeat(expected, 2, axis=0)
    given = np.repeat(inputs[prefix + "padding_mask"], 2, axis=0).astype(bool)
    np.testing.assert_array_equal(tokens[given], expected[given])
    np.testing.assert_array_equal(tokens[mask], expected[mask])
    for row_tokens, row_mask, row_given in zip(
        tokens, mask, given, strict=True
    ):
        drawn = row_tokens[~row_given].tolist()
        length = drawn.index(stop) + 1 if stop in drawn else len(drawn)
        np.testing.assert_array_equal(
            np.flatnonzero(row_mask), row_given.sum() + np.arange(length)
        )


def test_drawing_is_inference_and_leaves_training_on():
    policy = testing.quick_start(
        testing.tiny_policy("t5", dropout=0.9, num_layers=1)
    )
    inputs = encoded(policy)
    drawer = Drawer(policy, TokenSampler(temperature=0.0))
    outputs = [drawer(inputs, training=True) for _ in range(2)]
    tokens = [ops.convert_to_numpy(output["tokens"]) for output in outputs]
    logits = [ops.convert_to_numpy(output["logits"]) for output in outputs]
    np.testing.assert_array_equal(*tokens)
    assert not np.allclose(*logits)
