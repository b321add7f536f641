import keras
import keras_hub
import numpy as np
import pandas as pd
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.generation import ResponseSampler
from keras_irl.models import policy_reader
from keras_irl.rewards import RewardReader
from keras_irl.rewards import as_scorer
from keras_irl.rewards import token_rewards

PROMPTS, RESPONSES = list(PROMPTS), list(RESPONSES)
compiled_only = pytest.mark.skipif(
    keras.config.backend() == "torch", reason="PyTorch runs eagerly."
)


@pytest.fixture(scope="module")
def sum_reader(policy):
    return RewardReader(policy, 1.0, value_offset=-2.5, batch_size=2)


def logits_of(policy, prompt, response):
    """Logits, actions and length of one text, at its actions."""
    inputs, actions, mask = demonstrations(policy, [prompt], [response], 1)[0]
    # A task of keras-hub would tokenize what it is given.
    logits = keras.Model.predict_on_batch(policy, inputs)
    counts = mask[0] > 0
    return logits[0][counts].astype("float64"), actions[0][counts]


def test_rewards_are_those_of_the_equation(policy, reader):
    texts = reader(PROMPTS, RESPONSES)
    assert len(texts) == 3
    for text, prompt, response in zip(texts, PROMPTS, RESPONSES, strict=True):
        logits, actions = logits_of(policy, prompt, response)
        values = np.log(np.exp(logits).sum(axis=1)) + 0.5
        taken = np.take_along_axis(logits, actions[:, None], 1)[:, 0] + 0.5
        rewards = taken - 0.9 * np.append(values[1:], 0.0)
        assert len(text.tokens) == len(actions)
        np.testing.assert_allclose(text.action_values, taken, atol=1e-4)
        np.testing.assert_allclose(text.values, values, atol=1e-4)
        np.testing.assert_allclose(text.rewards, rewards, atol=1e-4)
        assert text.total == pytest.approx(rewards.sum(), abs=1e-3)
        assert text.mean == pytest.approx(rewards.mean(), abs=1e-4)


def test_without_discount_the_total_is_start_value_plus_log_likelihood(
    reader, sum_reader
):
    texts = sum_reader(PROMPTS, RESPONSES)
    for text, other in zip(texts, reader(PROMPTS, RESPONSES), strict=True):
        expected = text.values[0] + text.log_likelihood
        assert text.total == pytest.approx(expected, abs=1e-4)
        # The offset counts once, in the start value, and moves no likelihood.
        np.testing.assert_allclose(text.values, other.values - 3.0, atol=1e-4)
        np.testing.assert_allclose(text.log_probs, other.log_probs, atol=1e-4)


class ShiftedGPT2(keras_hub.models.GPT2CausalLM):
    """A policy whose logits all carry a large common offset."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, training=training, mask=mask) - 50.0


def test_a_trainer_is_read_with_its_own_discount_and_offset(gpt2):
    shifted = ShiftedGPT2(gpt2.backbone, gpt2.preprocessor)
    totals, offsets = [], []
    for policy in (gpt2, shifted):
        trainer = keras_irl.IQLearn(policy, discount=1.0, value_offset="auto")
        # Nothing but the offset is learned.
        trainer.compile(keras.optimizers.SGD(0.0))
        trainer.fit(demonstrations(policy, PROMPTS, RESPONSES, 3), verbose=0)
        texts = token_rewards(trainer, PROMPTS, RESPONSES, batch_size=3)
        totals.append([text.total for text in texts])
        offsets.append(trainer.value_offset)
        told = RewardReader(policy, 1.0, trainer.value_offset, 3)
        assert [t.total for t in told(PROMPTS, RESPONSES)] == totals[-1]
    assert offsets[1] - offsets[0] == pytest.approx(50.0, abs=0.01)
    np.testing.assert_allclose(*totals, atol=0.05)
    score = as_scorer(trainer, value_offset=0.0, batch_size=3)
    np.testing.assert_allclose(
        score(PROMPTS, RESPONSES), np.array(totals[1]) - offsets[1], atol=0.05
    )


def test_a_cut_text_gets_no_end_token_and_keeps_the_value_of_its_end(
    sum_reader,
):
    (whole,) = sum_reader(PROMPTS[:1], RESPONSES[:1])
    (cut,) = sum_reader(PROMPTS[:1], RESPONSES[:1], finished=[False])
    assert cut.tokens == whole.tokens[:-1]
    assert not cut.finished
    np.testing.assert_allclose(cut.values, whole.values[:-1], atol=1e-5)
    expected = whole.values[0] + cut.log_likelihood - whole.values[-1]
    assert cut.total == pytest.approx(expected, abs=1e-4)


def test_tokens_spell_the_response_and_its_end(policy, reader):
    for text, response in zip(
        reader(PROMPTS, RESPONSES), RESPONSES, strict=True
    ):
        *tokens, end = text.tokens
        assert "".join(tokens).strip() == response
        assert end == policy.preprocessor.tokenizer.end_token


def test_an_empty_response_is_the_end_token_alone(policy, reader):
    (text,) = reader(PROMPTS[:1], [""])
    assert text.tokens == [policy.preprocessor.tokenizer.end_token]
    assert np.isfinite(text.total)


def test_token_ids_are_rewarded_as_they_are_and_tell_whether_they_ended(
    gpt2, gpt2_reader
):
    tokenizer = gpt2.preprocessor.tokenizer
    end = tokenizer.end_token_id
    ids = [int(tokenizer.token_to_id(token)) for token in "th"]
    spelled, cut, text = gpt2_reader(
        [PROMPTS[0]] * 3, [[*ids, end], np.array(ids), "th"]
    )
    assert spelled.tokens == ["t", "h", tokenizer.end_token]
    assert cut.tokens == ["t", "h"]
    assert text.tokens == ["th", tokenizer.end_token]
    assert (spelled.finished, cut.finished, text.finished) == (
        True,
        False,
        True,
    )
    np.testing.assert_allclose(cut.values, spelled.values[:2], atol=1e-4)
    # What was cut goes on: the value of its last state counts.
    expected = cut.action_values[1] - 0.9 * spelled.values[2]
    assert cut.rewards[1] == pytest.approx(expected, abs=1e-4)


def test_a_stop_that_ended_a_sample_is_no_end_token_to_reward(
    gpt2, gpt2_reader
):
    sampler = ResponseSampler(gpt2, batch_size=4, stop=[*"abcdefghi", "q7"])
    samples = sampler(PROMPTS, seed=3)
    ids = [row for (row,) in samples.token_ids]
    texts = gpt2_reader(PROMPTS, ids)
    end = gpt2.preprocessor.tokenizer.end_token_id
    assert samples.finished.any()
    for text, row, number in zip(texts, ids, samples.num_tokens, strict=True):
        assert len(text.tokens) == len(row) == number[0]
        assert text.finished == (row[-1] == end)
    assert not all(text.finished for text in texts)


@pytest.mark.parametrize(
    ("ids", "finished", "message"),
    [
        ([5, 9999], None, r"from 0 to .*Received: responses\[0\]=\[5, 9999\]"),
        ([-1], None, r"Received: responses\[0\]=\[-1\]"),
        (["end", 5], None, "nothing follows the end token"),
        ([5.0], None, r"list of its token ids.*responses\[0\]=\[5.0\]"),
        ([], None, r"at least one. Received: responses\[0\]=\[\]"),
        ([5], [True], "1 responses, 1 of them token ids"),
    ],
)
def test_says_what_is_wrong_with_token_ids(gpt2, ids, finished, message):
    end = gpt2.preprocessor.tokenizer.end_token_id
    ids = [end if i == "end" else i for i in ids]
    with pytest.raises(ValueError, match=message):
        RewardReader(gpt2)(["a"], [ids], finished)


def test_rows_do_not_see_each_other(reader):
    together = reader(PROMPTS, RESPONSES)
    for row, text in enumerate(together):
        (alone,) = reader(PROMPTS[row : row + 1], RESPONSES[row : row + 1])
        np.testing.assert_allclose(alone.rewards, text.rewards, atol=1e-4)


@compiled_only
def test_compiles_once_and_reads_the_current_weights(policy, reader):
    model, traces = reader._model, []
    call = model.statistics
    model.statistics = lambda **batch: traces.append(1) or call(**batch)
    reader(PROMPTS[:1], RESPONSES[:1])  # Now it is compiled, if not before.
    traces.clear()
    before = reader(PROMPTS, RESPONSES)
    weights = policy.get_weights()
    policy.set_weights([0.5 * weight for weight in weights])
    after = reader(PROMPTS[:1], RESPONSES[:1])
    policy.set_weights(weights)
    again = reader(PROMPTS, RESPONSES)
    model.statistics = call
    assert traces == []
    assert abs(after[0].total - before[0].total) > 1e-3
    assert again[0].total == pytest.approx(before[0].total, abs=1e-5)


def test_large_vocabularies_are_tiled_with_the_same_rewards(
    policy, reader, monkeypatch
):
    plain = reader(PROMPTS, RESPONSES, [True, False, True])
    monkeypatch.setattr(policy_reader, "MIN_VOCABULARY_SIZE", 10)
    tiled_reader = RewardReader(policy, 0.9, 0.5, batch_size=3)
    assert tiled_reader._model.tiles_vocabulary
    assert not reader._model.tiles_vocabulary
    tiled = tiled_reader(PROMPTS, RESPONSES, [True, False, True])
    for one, other in zip(tiled, plain, strict=True):
        np.testing.assert_allclose(one.rewards, other.rewards, atol=1e-4)
        np.testing.assert_allclose(one.values, other.values, atol=1e-4)


def test_a_policy_stays_what_it_was(policy, reader):
    before = {n: id(v) for n, v in vars(policy).items() if n[0] != "_"}
    weights = policy.get_weights()
    reader(PROMPTS, RESPONSES)
    after = {n: id(v) for n, v in vars(policy).items() if n[0] != "_"}
    assert after == before
    for one, other in zip(weights, policy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class Watch(keras.callbacks.Callback):
    """Reads rewards after every epoch with one reader."""

    def __init__(self, reader):
        super().__init__()
        self.reader = reader
        self.totals = []

    def on_epoch_end(self, epoch, logs=None):
        assert self.model.policy is not None
        self.totals.append(self.reader(PROMPTS, RESPONSES)[0].total)


def test_rewards_are_read_during_fit_with_the_weights_of_the_moment(
    gpt2, gpt2_reader
):
    start = gpt2.get_weights()
    trainer = keras_irl.IQLearn(gpt2)
    trainer.compile("adam")
    watch = Watch(gpt2_reader)
    dataset = demonstrations(gpt2, PROMPTS, RESPONSES, batch_size=3)
    trainer.fit(dataset, epochs=3, callbacks=[watch], verbose=0)
    watch.on_epoch_end(3)
    assert len(set(watch.totals[:3])) == 3
    assert watch.totals[3] == pytest.approx(watch.totals[2], abs=1e-4)
    gpt2.set_weights(start)


def test_logits_that_are_not_finite_are_an_error(gpt2, gpt2_reader):
    weights = gpt2.get_weights()
    gpt2.set_weights([weight * np.nan for weight in weights])
    with pytest.raises(ValueError, match="not finite.*Received: row 0"):
        gpt2_reader(PROMPTS, RESPONSES)
    gpt2.set_weights(weights)
    assert np.isfinite(gpt2_reader(PROMPTS, RESPONSES)[0].total)


@pytest.mark.parametrize(
    ("prompts", "responses", "message"),
    [
        ([], [], r"at least one prompt.*Received: prompts=\[\]"),
        ("a", ["b"], "list of one. Received: prompts='a'"),
        (["a"], "b", "list of one. Received: responses='b'"),
        (["a"], None, "Received: responses=None"),
        (["a", "b"], ["c"], "Received: 2 prompts, 1 responses"),
        (["a"], [3], r"Received: responses\[0\]=3"),
        (["a"], ["\ud800"], r"surrogate.*Received: responses\[0\]='.ud800'"),
        (["a", "a"], ["b", "b" * 99], "Row 1: the text does not fit.* 99 of"),
        (["a" * 99], [""], "Row 0: the text does not fit.*Received: 99 tokens"),
    ],
)
def test_says_what_is_wrong_with_texts(gpt2, prompts, responses, message):
    with pytest.raises(ValueError, match=message):
        RewardReader(gpt2)(prompts, responses)


def test_a_policy_without_a_start_token_needs_a_prompt(gpt2):
    reader = RewardReader(gpt2)
    reader._batches.packer.needs_prompt = True
    with pytest.raises(ValueError, match=r"Row 1: .*empty.*prompts\[1\]"):
        reader(["a", ""], ["b", "b"])


def test_a_prompt_longer_than_the_encoder_is_an_error():
    policy = tiny_policy("t5", max_length=4)
    with pytest.raises(
        ValueError, match=r"Row 0: .*\.encoder_sequence_length`"
    ):
        token_rewards(policy, ["call me ishmael call me"], ["call"])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"discount": 1.5}, "Received: discount=1.5"),
        ({"discount": float("nan")}, "Received: discount=nan"),
        ({"value_offset": "auto"}, "Received: value_offset='auto'"),
        ({"value_offset": float("inf")}, "Received: value_offset=inf"),
        ({"batch_size": 0}, "Received: batch_size=0"),
        ({"batch_size": 2.0}, "Received: batch_size=2.0"),
        ({"finished": [True]}, "for 3 responses"),
        ({"finished": [1, 0, 1]}, "one boolean"),
    ],
)
def test_says_what_is_wrong_with_arguments(gpt2, keywords, message):
    with pytest.raises(ValueError, match=message):
        token_rewards(gpt2, PROMPTS, RESPONSES, **keywords)


def test_an_unfinished_response_must_have_a_token(gpt2):
    with pytest.raises(ValueError, match=r"Row 0: the response is empty and n"):
        token_rewards(gpt2, ["a"], [""], finished=[False])


def test_a_policy_must_be_a_language_model():
    with pytest.raises(ValueError, match="Received: policy=None"):
        RewardReader(None)


def test_texts_of_a_table_are_rewarded_by_position(policy, reader):
    order = [2, 0, 1]
    prompts = pd.Series(PROMPTS).iloc[order]
    responses = pd.Series(RESPONSES).iloc[order]
    finished = pd.Series([True, False, True]).iloc[order]
    found = reader(prompts, responses, finished)
    expected = reader(
        [PROMPTS[i] for i in order],
        [RESPONSES[i] for i in order],
        [True, True, False],
    )
    for a, b in zip(found, expected, strict=True):
        assert a.tokens == b.tokens
        np.testing.assert_array_equal(a.rewards, b.rewards)
    (text,) = token_rewards(policy, np.array(PROMPTS[:1]), tuple(RESPONSES[:1]))
    assert np.isfinite(text.total)


def test_an_end_token_that_is_written_out_is_rewarded_once(policy, reader):
    tokenizer = policy.preprocessor.tokenizer
    end = tokenizer.id_to_token(tokenizer.end_token_id)
    with pytest.warns(UserWarning, match="1 of 1 responses end in a special"):
        (marked,) = reader(PROMPTS[:1], [f"{RESPONSES[0]}{end}"])
    (plain,) = reader(PROMPTS[:1], RESPONSES[:1])
    assert marked.tokens == plain.tokens
    np.testing.assert_array_equal(marked.rewards, plain.rewards)
    with pytest.raises(ValueError, match=r"Remove .*responses\[0\]='call"):
        reader(PROMPTS[:1], [f"call{end} me"])
    with pytest.raises(ValueError, match=r"Remove .*prompts\[0\]='call"):
        as_scorer(policy)([f"call{end} me"], ["me"])
