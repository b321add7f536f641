import families
import keras
import numpy as np
import pytest
import testing

from keras_irl.evaluation import ResponseSampler
from keras_irl.evaluation import policy_reader

PROMPTS = list(testing.PROMPTS)


@pytest.fixture(scope="module", params=["t5", "gpt2"])
def sampler(request):
    keras.utils.set_random_seed(1)
    policy = testing.tiny_policy(request.param)
    # The last of its batches is filled up.
    return ResponseSampler(policy, batch_size=4, stop=["q7"])


def entropies_of(policy, prompt, ids):
    """Entropies of the states that some tokens were drawn in, in a loop."""
    inputs = policy.preprocessor.generate_preprocess([prompt])
    inputs = {k: keras.ops.convert_to_numpy(v) for k, v in inputs.items()}
    prefix = "decoder_" if "decoder_token_ids" in inputs else ""
    start = int(inputs[f"{prefix}padding_mask"].sum())
    inputs[f"{prefix}token_ids"][0, start : start + len(ids)] = ids
    inputs[f"{prefix}padding_mask"][0, start : start + len(ids)] = True
    # A task of keras-hub would tokenise what it is given.
    (logits,) = keras.Model.predict_on_batch(policy, inputs)
    entropies = []
    for state in logits[start - 1 : start - 1 + len(ids)].astype("float64"):
        chances = np.exp(state - state.max())
        chances /= chances.sum()
        entropies.append(-np.sum(chances * np.log(chances + 1e-300)))
    return entropies


def test_entropies_are_those_of_the_states_of_the_samples(sampler):
    responses = sampler(PROMPTS, num_samples=8)
    found = sampler.entropies(PROMPTS, responses)
    assert found.shape == (3, 8)
    for row, prompt in enumerate(PROMPTS):
        for ids, total in zip(
            responses.token_ids[row], found[row], strict=True
        ):
            expected = sum(entropies_of(sampler.policy, prompt, ids))
            assert total == pytest.approx(expected, rel=1e-4)
    # There were those that ended, and those that were cut.
    assert len(set(responses.finished.flat)) == 2


def test_large_vocabularies_are_tiled_with_the_same_entropies(
    sampler, monkeypatch
):
    responses = sampler(PROMPTS, temperature=0.0)
    plain = sampler.entropies(PROMPTS, responses)
    monkeypatch.setattr(policy_reader, "MIN_VOCABULARY_SIZE", 10)
    monkeypatch.setattr(sampler, "_reader", None)
    tiled = sampler.entropies(PROMPTS, responses)
    assert sampler._reader._model.tiles_vocabulary
    np.testing.assert_allclose(tiled, plain, rtol=1e-4)


def test_a_prompt_that_the_encoder_cuts_is_cut_here_too():
    policy = testing.tiny_policy("t5", max_length=4)
    sampler = ResponseSampler(policy, batch_size=2)
    prompts = ["call me ishmael call me ishmael", ""]
    with pytest.warns(UserWarning, match="1 of 2 prompts"):
        responses = sampler(prompts, temperature=0.0)
    found = sampler.entropies(prompts, responses)
    for prompt, (ids,), total in zip(
        prompts, responses.token_ids, found[:, 0], strict=True
    ):
        expected = sum(entropies_of(policy, prompt, ids))
        assert total == pytest.approx(expected, rel=1e-4)


def test_a_policy_that_reads_prompts_apart_has_no_entropies():
    policy = families.family_policy("rwkv7", max_length=24)
    assert ResponseSampler(policy).entropies(["a"], None) is None
