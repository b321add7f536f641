import doctest
import warnings

import numpy as np
import pandas as pd
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from nltk.translate import bleu_score
from sacrebleu.tokenizers import tokenizer_13a

from keras_irl.metrics import diversity
from keras_irl.metrics.diversity import distinct_n
from keras_irl.metrics.diversity import self_bleu

TEXTS = st.lists(st.sampled_from("a b c d e .".split()), max_size=9).map(
    " ".join
)
SAMPLES = st.lists(
    st.lists(TEXTS, min_size=2, max_size=5), min_size=1, max_size=3
)


def nltk_self_bleu(samples_per_prompt, max_order, split=None):
    """The definition: nltk's BLEU of every sample against the others."""
    tokenize = tokenizer_13a.Tokenizer13a()
    split = split or (lambda text: tokenize(text).split())
    weights = (1 / max_order,) * max_order
    smoothing = bleu_score.SmoothingFunction().method1
    prompts = []
    for texts in samples_per_prompt:
        samples = list(map(split, texts))
        prompts.append(
            [
                bleu_score.sentence_bleu(
                    samples[:i] + samples[i + 1 :],
                    samples[i],
                    weights,
                    smoothing,
                )
                for i in range(len(samples))
            ]
        )
    return 100 * np.mean([np.mean(scores) for scores in prompts])


@settings(max_examples=200, deadline=None)
@given(samples=SAMPLES, max_order=st.integers(1, 5))
def test_self_bleu_is_nltks_sentence_bleu_of_every_sample(samples, max_order):
    np.testing.assert_allclose(
        self_bleu(samples, max_order),
        nltk_self_bleu(samples, max_order),
        rtol=0,
        atol=1e-9,
    )


@given(samples=SAMPLES, order=st.randoms(use_true_random=False))
def test_the_order_of_the_samples_does_not_matter(samples, order):
    shuffled = [order.sample(texts, len(texts)) for texts in samples]
    assert self_bleu(samples) == pytest.approx(self_bleu(shuffled))
    assert distinct_n(samples) == pytest.approx(distinct_n(shuffled))


def test_equal_samples_score_a_hundred_and_disjoint_ones_nothing():
    assert self_bleu([["one two three four"] * 3]) == pytest.approx(100.0)
    assert self_bleu([["a b c d", "e f g h"]]) == 0.0


def test_punctuation_is_a_token_as_in_corpus_bleu():
    assert self_bleu([["a b c.", "a b c ."]]) == pytest.approx(100.0)


def test_prompts_weigh_alike_whatever_their_number_of_samples():
    same, different = ["one two three four"] * 5, ["a b c d", "e f g h"]
    assert self_bleu([same, different]) == pytest.approx(50.0)


def test_an_empty_sample_scores_nothing():
    assert self_bleu([["", ""]]) == 0.0
    assert self_bleu([["a b c d", "a b c d", ""]]) == pytest.approx(200 / 3)


def test_four_equal_chinese_sentences_are_equal():
    sentences = ["我们今天去公园散步。"] * 4
    assert self_bleu([sentences], tokenize="zh") == pytest.approx(100.0)
    assert self_bleu([sentences], tokenize="char") == pytest.approx(100.0)
    with pytest.warns(UserWarning, match="Received: tokenize='13a'"):
        assert self_bleu([sentences]) == pytest.approx(100 * 0.1**0.75)


@pytest.mark.parametrize("tokenize", ["intl", "zh", "char", "none"])
def test_self_bleu_counts_the_words_of_sacrebleus_tokenizer(tokenize):
    samples = [["猫坐在,垫子上 today.", "猫躺在,垫子上 today.", "ok 猫坐在"]]
    separate = sacrebleu.BLEU(tokenize=tokenize).tokenizer
    spaced = [[separate(text) for text in texts] for texts in samples]
    expected = nltk_self_bleu(spaced, 4, str.split)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert self_bleu(samples, tokenize=tokenize) == pytest.approx(expected)
        words = " ".join(spaced[0]).split()
        assert distinct_n(samples, 1, tokenize) == pytest.approx(
            100 * len(set(words)) / len(words)
        )


def test_orders_that_numpy_made_are_orders():
    samples = [["a b c d", "a b c e"]]
    assert self_bleu(samples, np.int64(2)) == self_bleu(samples, 2)
    assert distinct_n(samples, np.array(1)) == distinct_n(samples, 1)


def test_distinct_n_counts_each_ngram_of_a_prompt_once():
    assert distinct_n([["a a a a"]], n=1) == 25.0
    assert distinct_n([["a b", "b a"], ["a a a"]], n=2) == 75.0


def test_distinct_n_of_texts_without_an_ngram_is_zero():
    assert distinct_n([["", "a"]], n=2) == 0.0


def test_the_docstrings_are_true():
    assert doctest.testmod(diversity).failed == 0


@pytest.mark.parametrize(
    ("function", "samples", "keywords", "message"),
    [
        (self_bleu, [], {}, "undefined without a prompt"),
        (self_bleu, [["a", "b"], ["a"]], {}, r"undefined for fewer than two"),
        (self_bleu, ["a b", "c d"], {}, r"Received: .*\[0\]='a b'"),
        (self_bleu, [["a", "b"]], {"max_order": 0}, "Received: max_order=0"),
        (self_bleu, [["a", "b"]], {"max_order": 10**6}, "to 100.*=1000000"),
        (self_bleu, [["a", "b"]], {"max_order": "4"}, "Received: max_order='4"),
        (self_bleu, [["a", "b"]], {"tokenize": "x"}, "Received: tokenize='x'"),
        (distinct_n, [["a"]], {"tokenize": None}, "Received: tokenize=None"),
        (distinct_n, [["a"]], {"n": 10**6}, "to 100.*Received: n=1000000"),
        (distinct_n, [["a"]], {"n": True}, "Received: n=True"),
        (self_bleu, None, {}, "Received: samples_per_prompt=None"),
        (self_bleu, [["a", "b"], None], {}, r"samples_per_prompt\[1\]=None"),
        (self_bleu, [["a", None]], {}, r"\[0\]=\['a', None\]"),
        (distinct_n, [], {}, "undefined without a prompt"),
        (distinct_n, [[]], {}, r"Received: samples_per_prompt\[0\]=\[\]"),
        (distinct_n, [["a"]], {"n": 0}, "Received: n=0"),
    ],
)
def test_says_what_is_wrong_with_its_arguments(
    function, samples, keywords, message
):
    with pytest.raises(ValueError, match=message):
        function(samples, **keywords)


def test_samples_of_a_table_are_read_by_position():
    lists = [["a b c d e", "a b c d e"], ["a b c d e", "v w x y z"]]
    column = pd.Series([np.array(lists[1]), tuple(lists[0])], [1, 0])
    assert self_bleu(column) == self_bleu(lists[::-1])
    assert self_bleu(column.iloc[1:]) == 100.0
    assert distinct_n(column) == distinct_n(lists)
    with pytest.raises(ValueError, match=r"samples_per_prompt\[1\]=nan"):
        self_bleu(pd.Series([["a", "b"], np.nan]))
