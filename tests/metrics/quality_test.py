"""Metrics agree with oracles, and refuse what they can't judge."""

import collections
import itertools
import math

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_irl.metrics.quality import bleu
from keras_irl.metrics.quality import chrf
from keras_irl.metrics.quality import exact_match

METRICS = (bleu, chrf, exact_match)


def ngrams(tokens, order):
    starts = range(len(tokens) - order + 1)
    return collections.Counter(tuple(tokens[i : i + order]) for i in starts)


def bleu_oracle(responses, references):
    """BLEU as in the paper, of words, for corpora with all orders matched."""
    matches, totals = np.zeros(4), np.zeros(4)
    length = reference_length = 0
    for response, texts in zip(responses, references, strict=True):
        tokens = response.split()
        lists = [text.split() for text in texts]
        length += len(tokens)
        reference_length += min(
            (abs(len(words) - len(tokens)), len(words)) for words in lists
        )[1]
        for order in range(1, 5):
            most = collections.Counter()
            for words in lists:
                most |= ngrams(words, order)
            counts = ngrams(tokens, order)
            matches[order - 1] += (counts & most).total()
            totals[order - 1] += counts.total()
    brevity = min(1.0, math.exp(1 - reference_length / length))
    return 100 * brevity * math.exp(np.mean(np.log(matches / totals)))


def corpus(num_rows, num_references, seed=0):
    random = np.random.RandomState(seed)

    def text():
        return " ".join(random.choice(list("abcd"), random.randint(6, 15)))

    counts = [num_references() for _ in range(num_rows)]
    return (
        [text() for _ in range(num_rows)],
        [[text() for _ in range(count)] for count in counts],
    )


def sacrebleu_chrf(responses, references):
    # One stream a reference. Only `None` pads: an empty string would be a
    # reference too.
    streams = list(map(list, itertools.zip_longest(*references)))
    return sacrebleu.corpus_chrf(responses, streams).score


def test_bleu_is_that_of_sacrebleu_for_equal_numbers_of_references():
    responses, references = corpus(50, lambda: 3)
    streams = list(map(list, zip(*references, strict=True)))
    expected = sacrebleu.corpus_bleu(responses, streams).score
    assert bleu(responses, references) == pytest.approx(expected, abs=1e-9)
    assert chrf(responses, references) == sacrebleu_chrf(responses, references)


CHARACTERS = st.text(st.sampled_from("ab c\u00e4"), max_size=9)
ROWS = st.lists(
    st.tuples(CHARACTERS, st.lists(CHARACTERS, min_size=1, max_size=3)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS)
def test_chrf_is_that_of_sacrebleu_to_the_last_digit(rows):
    responses, references = map(list, zip(*rows, strict=True))
    assert chrf(responses, references) == sacrebleu_chrf(responses, references)


def test_chrf_of_prompts_that_are_drawn_anew_is_known():
    responses, references = corpus(6, lambda: 2)
    drawn = [0, 0, 3, 5, 5, 5]
    weights = np.bincount(drawn, minlength=6)[None]
    added = chrf.statistics(responses, references)[:, None]
    expected = sacrebleu_chrf(
        [responses[i] for i in drawn], [references[i] for i in drawn]
    )
    assert chrf.resampled(weights, added)[0] == expected


@pytest.mark.parametrize("seed", range(5))
def test_bleu_matches_the_paper_for_any_numbers_of_references(seed):
    numbers = np.random.RandomState(seed)
    responses, references = corpus(40, lambda: numbers.randint(1, 6), seed)
    assert len({len(texts) for texts in references}) > 1
    expected = bleu_oracle(responses, references)
    assert bleu(responses, references) == pytest.approx(expected, abs=1e-9)


def test_a_repeated_reference_changes_nothing():
    responses, references = corpus(20, lambda: 2)
    repeated = [texts * (1 + row % 3) for row, texts in enumerate(references)]
    for metric in METRICS:
        assert metric(responses, repeated) == metric(responses, references)


def test_more_references_in_other_rows_do_not_waive_brevity():
    # Padded with empty strings, the first row would have a reference of length
    # 0, closest in length to a response that is much too short.
    long = "a b c d e f g h i j k l"
    responses = ["a b c d", long]
    alone = bleu(responses, [[long], [long]])
    assert bleu(responses, [[long], [long, long, long]]) == alone
    assert alone < 70


def test_perfect_responses_score_a_hundred_at_most():
    references = [["a b c d e", "f g"], ["h i j k l m"], ["n o p q", "r"]]
    responses = [texts[0] for texts in references]
    for metric in METRICS:
        assert metric(responses, references) == pytest.approx(100.0)
        assert metric(responses, references) <= 100.0


def test_unrelated_responses_score_about_zero():
    for metric in METRICS:
        assert metric(["x y z"], [["a b c d e", "f g h i"]]) < 1e-6


def test_an_empty_response_scores_zero():
    for metric in METRICS:
        assert metric([""], [["a b c d e"]]) == 0.0


def test_exact_match_takes_any_reference_and_any_spacing():
    responses = [" a  b\n", "ab", "c"]
    references = [["x", "a b"], ["a b"], ("c",)]
    assert exact_match(responses, references) == pytest.approx(200 / 3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("responses", "references", "message"),
    [
        ([], [], r"at least one. Received: len\(responses\)=0"),
        (["a"], [["a"], ["b"]], r"len\(responses\)=1, len\(references\)=2"),
        (["a", "b"], [["a"], []], r"at least one string.*references\[1\]=\[\]"),
        (["a"], ["a"], r"list of at least one string.*references\[0\]='a'"),
        (["a"], [["a", None]], r"references\[0\]=\['a', None\]"),
        (["a", 3], [["a"], ["b"]], r"strings. Received: responses\[1\]=3"),
    ],
)
def test_refuses_what_it_cannot_judge(metric, responses, references, message):
    with pytest.raises(ValueError, match=message):
        metric(responses, references)
