import collections

import keras
import keras_hub
import numpy as np
import pandas as pd
import pytest
import testing

from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.generation import TokenSampler
from keras_irl.generation.drawing import CompiledSampler
from keras_irl.generation.responses import ResponseSampler
from keras_irl.generation.responses import sample_responses

PROMPTS = list(testing.PROMPTS)
# Some tokens more than the prompts, which two of them read as letters.
LENGTHS = {"t5": 12, "bart": 24, "gpt2": 32}
compiled_only = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="PyTorch runs eagerly."
)


@pytest.fixture(scope="module", params=testing.FAMILIES)
def sampler(request):
    """One compiled sampler of a policy that no test changes."""
    keras.utils.set_random_seed(1)
    policy = testing.tiny_policy(
        request.param, num_layers=1, max_length=LENGTHS[request.param]
    )
    return ResponseSampler(policy, batch_size=4)


@pytest.fixture
def traces(monkeypatch):
    """Lengthens whenever Python runs through the sampling of a token."""
    traces = []
    get_next_token = TokenSampler.get_next_token

    def count(self, logits):
        traces.append(logits.shape)
        return get_next_token(self, logits)

    monkeypatch.setattr(TokenSampler, "get_next_token", count)
    return traces


@pytest.fixture(scope="module")
def shared_t5():
    keras.utils.set_random_seed(1)
    return testing.tiny_policy("t5", num_layers=1)


@pytest.fixture
def t5():
    keras.utils.set_random_seed(1)
    return testing.tiny_policy("t5", num_layers=1)


def window(policy, prompts, max_length=None):
    """Arrays to generate in, and the names of their tokens and mask."""
    inputs = policy.preprocessor.generate_preprocess(
        prompts, sequence_length=max_length
    )
    inputs = {k: keras.ops.convert_to_numpy(v) for k, v in inputs.items()}
    prefix = "decoder_" if "decoder_token_ids" in inputs else ""
    return inputs, prefix + "token_ids", prefix + "padding_mask"


def forward(policy, inputs):
    # A task of keras-hub would tokenize what it is given.
    return keras.Model.predict_on_batch(policy, inputs)


def greedy_tokens(policy, prompt):
    """Argmax after argmax over whole forward passes, for one prompt."""
    inputs, ids, mask = window(policy, [prompt])
    start = position = int(inputs[mask].sum())
    while position < inputs[ids].shape[1]:
        logits = forward(policy, inputs)
        token = logits[0, position - 1].argmax()
        inputs[ids][0, position] = token
        inputs[mask][0, position] = True
        position += 1
        if token == policy.preprocessor.tokenizer.end_token_id:
            break
    return inputs[ids][0, start:position].tolist()


def test_greedy_decoding_is_an_argmax_after_the_other(sampler):
    responses = sampler(PROMPTS, temperature=0.0)
    tokenizer = sampler.tokenizer
    for row, prompt in enumerate(PROMPTS):
        tokens = greedy_tokens(sampler.policy, prompt)
        assert responses.num_tokens[row, 0] == len(tokens)
        assert responses.token_ids[row][0].tolist() == tokens
        assert responses.finished[row, 0] == (
            tokens[-1] == tokenizer.end_token_id
        )
        kept = [t for t in tokens if t not in tokenizer.special_token_ids]
        assert responses.texts[row] == [tokenizer.detokenize(kept)]


@pytest.fixture(scope="module")
def two_tokens(shared_t5):
    """LengthBuckets of the start token and a single response token."""
    return ResponseSampler(shared_t5, max_length=2, batch_size=256)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_first_tokens_are_distributed_as_the_softmax(
    shared_t5, two_tokens, temperature
):
    inputs, _, _ = window(shared_t5, PROMPTS[:1])
    logits = forward(shared_t5, inputs)[0, 0].astype("float64")
    weights = np.exp((logits - logits.max()) / temperature)
    texts = two_tokens(PROMPTS[:1], temperature, num_samples=4096).texts[0]
    # Each id has a text of its own, but for special tokens, which have none.
    tokenizer = two_tokens.tokenizer
    expected = collections.Counter()
    for token, weight in enumerate(weights):
        kept = [token] if token not in tokenizer.special_token_ids else []
        expected[tokenizer.detokenize(kept)] += 4096 * weight / weights.sum()
    observed = collections.Counter(texts)
    assert set(observed) <= set(expected)
    common = [text for text, number in expected.items() if number > 5]
    assert len(common) > 3
    chi_square = sum(
        (observed[text] - expected[text]) ** 2 / expected[text]
        for text in common
    )
    # Mean and standard deviation of χ² are those of its degrees of freedom.
    assert chi_square < len(common) + 4 * np.sqrt(2 * len(common))


def test_equal_seeds_give_equal_responses_and_other_seeds_others(sampler):
    first = sampler(PROMPTS, num_samples=2, seed=5)
    assert sampler(PROMPTS, num_samples=2, seed=5).texts == first.texts
    assert sampler(PROMPTS, num_samples=2, seed=6).texts != first.texts


def test_samples_of_a_prompt_stay_with_their_prompt(sampler):
    greedy = sampler(PROMPTS, temperature=0.0)
    # So cold that every sample is the greedy response.
    cold = sampler(PROMPTS, temperature=1e-7, num_samples=3)
    assert cold.texts == [texts * 3 for texts in greedy.texts]
    assert cold.finished.shape == cold.num_tokens.shape == (3, 3)


def test_the_other_rows_of_a_batch_change_no_greedy_response(sampler):
    together = sampler(PROMPTS, temperature=0.0).texts
    assert [sampler([p], temperature=0.0).texts[0] for p in PROMPTS] == together


def test_padding_does_not_end_a_text():
    # Where the end token has the id of padding, keras-hub's own loop would
    # end before the first token.
    vocabulary, merges = testing.characters(["<|endoftext|>"])
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary, merges)
    assert tokenizer.end_token_id == tokenizer.pad_token_id
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(
        tokenizer, sequence_length=28
    )
    backbone = testing.tiny_gpt2(num_layers=1).backbone
    policy = keras_hub.models.GPT2CausalLM(backbone, preprocessor)
    responses = sample_responses(policy, PROMPTS, 1.0)
    assert responses.num_tokens.max() > 1
    assert any(texts != [""] for texts in responses.texts)


def test_a_decoder_stands_for_a_temperature(sampler):
    greedy = sampler(PROMPTS, temperature=0.0).texts
    # Of the likelier tokens at this temperature there is one.
    nucleus = Sampling(0.5, top_p=1e-6)
    assert sampler(PROMPTS, decoder=nucleus).texts == greedy
    drawn = sampler(PROMPTS, 0.5, num_samples=2, seed=3).texts
    decoder = Sampling(0.5)
    assert sampler(PROMPTS, 0, 2, seed=3, decoder=decoder).texts == drawn


def test_beams_are_the_samples_of_a_search(sampler):
    beams = BeamSearch(num_beams=2)
    two = sampler(PROMPTS, decoder=beams, num_samples=2)
    one = sampler(PROMPTS, decoder=beams)
    assert [texts[:1] for texts in two.texts] == one.texts
    assert two.finished.shape == (3, 2)
    with pytest.raises(ValueError, match="num_samples=3, num_beams=2"):
        sampler(PROMPTS, decoder=beams, num_samples=3)


@pytest.mark.skipif(
    keras.config.backend() != "torch", reason="The others compile."
)
def test_nothing_is_warmed_up_where_nothing_compiles(shared_t5, monkeypatch):
    def generate(self, inputs):
        raise AssertionError("It generates.")

    monkeypatch.setattr(CompiledSampler, "__call__", generate)
    ResponseSampler(shared_t5, max_length=3).warm_up(PROMPTS, 0.5)


@compiled_only
def test_warmed_up_it_compiles_no_more(shared_t5, traces):
    sampler = ResponseSampler(shared_t5, batch_size=2, max_length=3)
    # The short prompts make a window of their own.
    prompts = ["a", *["b c"] * 8, PROMPTS[0]]
    sampler.warm_up(prompts, 0.5)
    assert traces
    traces.clear()
    sampler(prompts, 1.0)
    assert not traces


def test_says_whether_the_policy_ended_a_text_itself(sampler):
    # An untrained policy draws any token, so some texts end and some are cut.
    responses = sampler(PROMPTS, temperature=1.0, num_samples=20)
    inputs, _, mask = window(sampler.policy, PROMPTS)
    room = (~inputs[mask]).sum(axis=1)[:, None]
    assert 0 < responses.finished.mean() < 1
    assert np.all(responses.num_tokens >= 1)
    assert np.all(responses.num_tokens <= room)
    unfinished = ~responses.finished
    cut = np.broadcast_to(room, unfinished.shape)
    assert np.all(responses.num_tokens[unfinished] == cut[unfinished])
    assert responses.tokens_per_second > 0


@compiled_only
def test_compiles_once_for_a_number_of_samples(sampler, traces):
    TokenSampler().get_next_token(keras.ops.zeros((1, 2)))
    assert traces  # They are counted.
    before = sampler(PROMPTS, temperature=0.5, num_samples=4)
    traces.clear()
    sampler(PROMPTS[:1], temperature=0.7, num_samples=4, seed=9)
    weights = sampler.policy.get_weights()
    sampler.policy.set_weights([-2 * weight for weight in weights])
    after = sampler(PROMPTS, temperature=0.5, num_samples=4)
    sampler.policy.set_weights(weights)
    assert not traces
    assert after.texts != before.texts  # The new weights are used.


def test_leaves_the_policy_as_it_was(sampler):
    policy = sampler.policy
    policy.make_generate_function()
    before = {name: id(value) for name, value in vars(policy).items()}
    weights = policy.get_weights()
    sampler(PROMPTS)
    assert {n: id(v) for n, v in vars(policy).items()} == before
    for one, other in zip(weights, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_leaves_the_policy_as_it_was_after_an_error(t5, monkeypatch):
    before = t5.sampler, t5.generate_function, t5.optimizer

    def fail(self, inputs, stop_token_ids=None):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(type(t5), "generate_step", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        sample_responses(t5, PROMPTS)
    assert (t5.sampler, t5.generate_function, t5.optimizer) == before


def test_a_policy_that_was_never_compiled_stays_so(shared_t5):
    policy = type(shared_t5)(
        backbone=shared_t5.backbone,
        preprocessor=shared_t5.preprocessor,
        compile=False,
    )
    responses = sample_responses(policy, PROMPTS, 0.0, max_length=2)
    assert len(responses.texts) == len(PROMPTS)
    assert not {"sampler", "generate_function"} & set(vars(policy))


class Imitator(keras.Model):
    """A model around a policy, as trainers are."""

    def __init__(self, policy):
        super().__init__()
        self.policy = policy

    def call(self, inputs, training=False):
        return self.policy(inputs, training=training)


class Answers(keras.callbacks.Callback):
    """Answers before the first and after every epoch with one sampler."""

    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler
        self.texts = []

    def on_train_begin(self, logs=None):
        self.on_epoch_end(-1)

    def on_epoch_end(self, epoch, logs=None):
        assert self.model.policy is self.sampler.policy
        self.texts.append(self.sampler(PROMPTS, temperature=0.0).texts)


def test_answers_during_fit_with_the_weights_of_the_moment(t5):
    inputs, _, _ = window(t5, PROMPTS)
    actions = np.full((len(PROMPTS), 12), 7)
    trainer = Imitator(t5)
    trainer.compile(
        keras.optimizers.Adam(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    answers = Answers(ResponseSampler(t5))
    trainer.fit(inputs, actions, epochs=3, callbacks=[answers], verbose=0)
    assert answers.texts[-1] != answers.texts[0]
    assert answers.texts[-1] == answers.sampler(PROMPTS, 0.0).texts
    assert np.isfinite(trainer.evaluate(inputs, actions, verbose=0))


def test_logits_that_are_not_finite_are_an_error(sampler):
    weights = sampler.policy.get_weights()
    sampler.policy.set_weights([weight * np.nan for weight in weights])
    with pytest.raises(ValueError, match="Received: num_broken_states=[1-9]"):
        sampler(PROMPTS)
    sampler.policy.set_weights(weights)
    assert sampler(PROMPTS).texts  # The count starts anew.


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"prompts": []}, r"nothing to answer.*Received: prompts=\[\]"),
        ({"prompts": "a b"}, "Received: prompts='a b'"),
        ({"prompts": ["a", 3]}, r"Received: prompts\[1\]=3"),
        ({"temperature": -0.1}, "Received: temperature=-0.1"),
        ({"temperature": float("nan")}, "Received: temperature=nan"),
        ({"num_samples": 0}, "Received: num_samples=0"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"max_length": 0}, "Received: max_length=0"),
        ({"max_length": 1}, "fills the window of 1 tokens"),
        ({"seed": -1}, "Received: seed=-1"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(shared_t5, keywords, message):
    keywords = {"prompts": PROMPTS} | keywords
    with pytest.raises(ValueError, match=message):
        sample_responses(shared_t5, **keywords)


@pytest.mark.parametrize("name", ["max_response_length", "num_buckets"])
def test_says_what_is_too_small(shared_t5, name):
    with pytest.raises(ValueError, match=f"Received: {name}=0"):
        ResponseSampler(shared_t5, **{name: 0})


def test_needs_a_preprocessor(shared_t5):
    policy = type(shared_t5)(backbone=shared_t5.backbone, preprocessor=None)
    with pytest.raises(ValueError, match="policy.preprocessor=None"):
        sample_responses(policy, PROMPTS)


def test_prompts_of_a_table_are_answered_by_position(sampler):
    column = pd.Series(PROMPTS).iloc[[2, 0, 1]]
    found = sampler(column, temperature=0.0, num_samples=np.int64(1))
    expected = sampler([PROMPTS[i] for i in (2, 0, 1)], temperature=0.0)
    assert found.texts == expected.texts


@pytest.mark.parametrize(
    "name",
    ["max_length", "batch_size", "num_buckets", "max_response_length"],
)
@pytest.mark.parametrize("value", [0, 1.5, "8", True, 10**12])
def test_sizes_that_are_no_counts_are_refused_with_their_bound(
    sampler, name, value
):
    with pytest.raises(ValueError, match=f"from 1 to .*Received: {name}="):
        ResponseSampler(sampler.policy, **{name: value})
