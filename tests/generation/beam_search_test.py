import itertools

import keras
import numpy as np
import pytest
import testing
from keras import ops

from keras_irl.generation import BeamSearcher
from keras_irl.generation import encode_prompts
from keras_irl.generation.drawing import CompiledSampler

# A chain of four tokens, of which the last ends a text.
LOGITS = np.random.default_rng(3).normal(0.0, 1.5, (4, 4)).astype("float32")
STOP = 3


def penalized(log_prob, num_tokens, length_penalty):
    return log_prob / ((5 + num_tokens) / 6) ** length_penalty


def all_texts(start, num_tokens):
    """Every text of the chain from a token on: log-probability and tokens."""
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    for length in range(1, num_tokens + 1):
        for tokens in itertools.product(range(4), repeat=length):
            ended = tokens[-1] == STOP
            if STOP in tokens[:-1] or not (ended or length == num_tokens):
                continue
            path = zip((start, *tokens), tokens, strict=False)
            yield float(sum(log_probs[a, b] for a, b in path)), tokens


def scores_of(texts, start, num_tokens, length_penalty):
    """Scores; two texts of a chain may have the same."""
    log_probs = {text: total for total, text in all_texts(start, num_tokens)}
    assert len(set(texts)) == len(texts)
    return [
        penalized(log_probs[text], len(text), length_penalty) for text in texts
    ]


def best_texts(start, num_tokens, length_penalty):
    """All texts, finished ones first, then by score."""

    def key(text):
        score = penalized(text[0], len(text[1]), length_penalty)
        return text[1][-1] != STOP, -score

    texts = sorted(all_texts(start, num_tokens), key=key)
    return [tokens for _, tokens in texts]


def searched(searcher, prompts, width):
    """What a search in the chain finds: tokens `(P, K, width)`."""
    tokens = np.zeros((len(prompts), width), "int32")
    mask = np.zeros((len(prompts), width), bool)
    for row, prompt in enumerate(prompts):
        tokens[row, : len(prompt)] = prompt
        mask[row, : len(prompt)] = True
    tokens, mask = (
        np.repeat(x, searcher.num_return_sequences, axis=0)
        for x in (tokens, mask)
    )

    def next(tokens, cache, index):
        return ops.take(LOGITS, tokens[:, index - 1], axis=0), None, cache

    found = searcher(
        next,
        ops.convert_to_tensor(tokens),
        index=int(mask.sum(axis=1).min()),
        mask=ops.convert_to_tensor(mask),
    )
    found = ops.convert_to_numpy(found)
    return found.reshape(len(prompts), searcher.num_return_sequences, width)


def text_of(row, start, num_tokens):
    tokens = row[start : start + num_tokens].tolist()
    if STOP in tokens:
        tokens = tokens[: tokens.index(STOP) + 1]
    return tuple(tokens)


@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 2.0])
def test_enough_beams_find_what_looking_at_every_text_finds(length_penalty):
    searcher = BeamSearcher(108, length_penalty, [STOP])
    found = searched(searcher, [[0], [2]], width=5)
    for prompt, rows in zip([0, 2], found, strict=True):
        expected = best_texts(prompt, 4, length_penalty)[:108]
        texts = [text_of(row, 1, 4) for row in rows]
        assert [t[-1] for t in texts] == [t[-1] for t in expected]
        np.testing.assert_allclose(
            scores_of(texts, prompt, 4, length_penalty),
            scores_of(expected, prompt, 4, length_penalty),
            rtol=1e-5,
        )


def beams_in_a_loop(log_probs_after, stop, num_beams, num_tokens):
    """Beam search over lists, which never ends early."""
    alive, kept = [(0.0, ())], []
    for length in range(1, num_tokens + 1):
        longer = [
            (total + log_prob, (*tokens, token))
            for total, tokens in alive
            for token, log_prob in enumerate(log_probs_after(tokens))
        ]
        longer = sorted(longer, reverse=True)
        kept += [
            (penalized(total, length, 0.6), tokens)
            for total, tokens in longer[:num_beams]
            if tokens[-1] == stop
        ]
        alive = [text for text in longer if text[1][-1] != stop][:num_beams]
    kept = [tokens for _, tokens in sorted(kept, reverse=True)]
    return (kept + [tokens for _, tokens in alive])[:num_beams]


@pytest.mark.parametrize("num_tokens", [2, 12])
def test_few_beams_find_what_a_loop_over_lists_finds(num_tokens):
    log_probs = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
    for num_beams in (1, 2, 3):
        searcher = BeamSearcher(num_beams, 0.6, [STOP])
        found = searched(searcher, [[0], [1], [2]], width=1 + num_tokens)
        for prompt, rows in enumerate(found):
            expected = beams_in_a_loop(
                lambda tokens, prompt=prompt: log_probs[(prompt, *tokens)[-1]],
                STOP,
                num_beams,
                num_tokens,
            )
            assert [text_of(row, 1, num_tokens) for row in rows] == expected


def test_prompts_of_other_lengths_and_limits_change_nothing():
    searcher = BeamSearcher(36, 0.6, [STOP], max_tokens=3)
    prompts = [[0], [1, 2], [3, 0, 1]]
    together = searched(searcher, prompts, width=7)
    for prompt, rows in zip(prompts, together, strict=True):
        texts = [text_of(row, len(prompt), 3) for row in rows]
        expected = best_texts(prompt[-1], 3, 0.6)[:36]
        np.testing.assert_allclose(
            scores_of(texts, prompt[-1], 3, 0.6),
            scores_of(expected, prompt[-1], 3, 0.6),
            rtol=1e-5,
        )
        assert all(row[: len(prompt)].tolist() == prompt for row in rows)


def test_one_beam_is_greedy_decoding():
    (rows,) = searched(BeamSearcher(1), [[0]], width=6)
    tokens = [0]
    while len(tokens) < 6:
        tokens.append(int(LOGITS[tokens[-1]].argmax()))
    assert rows[0].tolist() == tokens


@pytest.mark.parametrize("family", testing.FAMILIES)
def test_a_policy_is_searched_as_by_a_loop_over_lists(family):
    keras.utils.set_random_seed(1)
    policy = testing.quick_start(testing.tiny_policy(family))
    stop = policy.preprocessor.tokenizer.end_token_id
    inputs = encode_prompts(policy, testing.PROMPTS[:2], max_length=24)
    # The first prompt of GPT-2 is the longer one.
    prefix = "" if family == "gpt2" else "decoder_"
    starts = inputs[prefix + "padding_mask"].sum(axis=1)
    searcher = BeamSearcher(3, 0.6, [stop], max_tokens=4)
    found = CompiledSampler(policy, searcher)(inputs)
    for prompt, start in enumerate(starts):
        row = {name: x[[prompt]].copy() for name, x in inputs.items()}

        def log_probs_after(tokens, row=row, start=start):
            end = start + len(tokens)
            row[prefix + "token_ids"][0, start:end] = tokens
            row[prefix + "padding_mask"][0, start:end] = True
            logits = keras.Model.predict_on_batch(policy, row)[0, end - 1]
            row[prefix + "padding_mask"][0, start:end] = False
            logits = logits.astype("float64")
            return logits - np.log(np.exp(logits).sum())

        expected = beams_in_a_loop(log_probs_after, stop, 3, 4)
        texts = [tuple(r[start : start + 4].tolist()) for r in found[prompt]]
        assert [
            t[: len(e)] for t, e in zip(texts, expected, strict=True)
        ] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_beams": 0}, "Received: num_beams=0"),
        ({"num_beams": 1.5}, "Received: num_beams=1.5"),
        ({"length_penalty": -1.0}, "Received: length_penalty=-1.0"),
        ({"max_tokens": 0}, "num_return_sequences=4, max_tokens=0"),
        ({"stop_token_ids": [-1]}, r"Received: stop_token_ids=\(-1,\)"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BeamSearcher(**arguments)


def test_a_search_goes_on_where_a_longer_text_may_still_be_the_best():
    """All that it keeps has ended, but what is unfinished scores higher."""
    # By the last token: 0 ends with .4 (3) or goes on (1), 1 goes on to 2 and
    # 2 ends, both almost surely.
    chances = np.array(
        [
            [0.0, 0.6, 0.0, 0.4],
            [0.0, 0.0, 0.999, 0.001],
            [0.0, 0.0, 0.001, 0.999],
            [0.25] * 4,
        ]
    )
    log_probs = np.log(np.maximum(chances, 1e-9)).astype("float32")

    def next(tokens, cache, index):
        return ops.take(log_probs, tokens[:, index - 1], axis=0), None, cache

    for num_beams in (1, 2):
        tokens = np.zeros((num_beams, 6), "int32")
        mask = np.zeros((num_beams, 6), bool)
        mask[:, 0] = True
        found = BeamSearcher(num_beams, 0.6, [STOP])(
            next,
            ops.convert_to_tensor(tokens),
            index=1,
            mask=ops.convert_to_tensor(mask),
        )
        found = ops.convert_to_numpy(found)
        # .4 is worth -0.92, .6 in three tokens log .6 / (8 / 6)^.6 = -0.43.
        assert text_of(found[0], 1, 5) == (1, 2, STOP)
        if num_beams > 1:
            assert text_of(found[1], 1, 5) == (STOP,)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("num_beams", "4"),
        ("num_beams", None),
        ("num_beams", 10**9),
        ("length_penalty", "0.6"),
        ("length_penalty", None),
    ],
)
def test_what_is_no_number_in_range_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        BeamSearcher(**{name: wrong})
