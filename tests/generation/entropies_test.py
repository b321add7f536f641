import families
import keras
import numpy as np
import pytest
import testing

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.generation import Responses
from keras_irl.generation import ResponseSampler

PROMPTS = list(testing.PROMPTS)


@pytest.fixture(scope="module", params=["t5", "gpt2"])
def sampler(request):
    policy = testing.quick_start(
        testing.tiny_policy(request.param, num_layers=1)
    )
    # The last of its batches is filled up.
    return ResponseSampler(policy, batch_size=3)


def written(*token_ids):
    token_ids = [
        [np.array(ids, "int32") for ids in samples] for samples in token_ids
    ]
    return Responses([], None, None, 1.0, token_ids)


def entropies_of(policy, prompt, ids):
    """Entropies of the states that some tokens were drawn in, in a loop."""
    inputs = policy.preprocessor.generate_preprocess([prompt])
    inputs = {k: keras.ops.convert_to_numpy(v) for k, v in inputs.items()}
    prefix = "decoder_" if "decoder_token_ids" in inputs else ""
    start = int(inputs[f"{prefix}padding_mask"].sum())
    inputs[f"{prefix}token_ids"][0, start : start + len(ids)] = ids
    inputs[f"{prefix}padding_mask"][0, start : start + len(ids)] = True
    # A task of keras-hub would tokenize what it is given.
    (logits,) = keras.Model.predict_on_batch(policy, inputs)
    entropies = []
    for state in logits[start - 1 : start - 1 + len(ids)].astype("float64"):
        chances = np.exp(state - state.max())
        chances /= chances.sum()
        entropies.append(-np.sum(chances * np.log(chances + 1e-300)))
    return entropies


def test_entropies_are_those_of_the_states_of_the_samples(sampler):
    end = sampler.tokenizer.end_token_id
    # What ended, at once or later, and what did not. The window holds it all.
    responses = written([[end], [5, 9, 7, end]], [[5], [8, 6, 5, 9, 9, 7]])
    found = sampler.entropies(PROMPTS[:2], responses)
    assert found.shape == (2, 2)
    for row, samples in enumerate(responses.token_ids):
        for ids, total in zip(samples, found[row], strict=True):
            expected = sum(entropies_of(sampler.policy, PROMPTS[row], ids))
            assert total == pytest.approx(expected, rel=1e-4)


class Watch(keras.callbacks.Callback):
    """Reads entropies after every epoch with one sampler."""

    def __init__(self, read):
        super().__init__()
        self.read = read
        self.sums = []

    def on_epoch_end(self, epoch, logs=None):
        assert self.model.policy is not None  # It gets its weights.
        self.sums.append(self.read())


def test_entropies_are_those_of_the_weights_of_the_moment_and_compiled_once():
    policy = testing.quick_start(testing.tiny_gpt2(max_length=32, num_layers=1))
    sampler = ResponseSampler(policy, batch_size=3)
    responses = written(*[[[5, 9, 7]]] * 3)
    watch = Watch(lambda: sampler.entropies(PROMPTS, responses))
    watch.read()
    model, traces = sampler._reader._model, []
    statistics = model.statistics
    model.statistics = lambda **x: traces.append(1) or statistics(**x)
    dataset = demonstrations(policy, PROMPTS, testing.RESPONSES, batch_size=3)
    trainer = keras_irl.MLE(policy)
    trainer.compile(keras.optimizers.Adam(1e-2))
    trainer.fit(dataset, epochs=3, callbacks=[watch], verbose=0)
    if keras.config.backend() != "torch":  # It runs eagerly.
        assert traces == []
    watch.on_epoch_end(3)
    assert not np.allclose(watch.sums[0], watch.sums[2], rtol=1e-2)
    np.testing.assert_allclose(watch.sums[2], watch.sums[3], rtol=1e-3)


def test_a_prompt_that_the_encoder_cuts_is_cut_here_too():
    policy = testing.tiny_policy("t5", max_length=4, num_layers=1)
    sampler = ResponseSampler(policy, batch_size=2)
    prompts = ["call me ishmael call me ishmael", ""]
    found = sampler.entropies(prompts, written([[5, 6]], [[7]]))
    for row, ids in enumerate(([5, 6], [7])):
        expected = sum(entropies_of(policy, prompts[row], ids))
        assert found[row, 0] == pytest.approx(expected, rel=1e-4)


def test_a_policy_that_reads_prompts_apart_has_no_entropies():
    policy = families.family_policy("rwkv7", max_length=24)
    assert ResponseSampler(policy).entropies(["a"], None) is None
