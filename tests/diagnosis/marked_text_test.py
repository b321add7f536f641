"""Texts are shown with what is trained of them marked, and steer nothing."""

import types

import numpy as np
import pytest

from keras_irl.data.batches import Batch
from keras_irl.diagnosis.marked_text import BRACKETS
from keras_irl.diagnosis.marked_text import COLORS
from keras_irl.diagnosis.marked_text import HTML
from keras_irl.diagnosis.marked_text import marked_texts
from keras_irl.ops import CONTINUES
from keras_irl.ops import decode_sample_weight

WORDS = ["<pad>", "</s>", "a", " fox", " <b>", "\n", " dog"]


def tokenizer():
    return types.SimpleNamespace(
        special_token_ids=[0, 1],
        vocabulary_size=lambda: len(WORDS),
        id_to_token=lambda token: WORDS[token],
        detokenize=lambda rows: ["".join(WORDS[t] for t in r) for r in rows],
    )


def batch(ids, mask, prompt=None):
    """Rows of a causal policy: each action is the next token."""
    ids = np.array(ids)
    mask, continues = decode_sample_weight(np.array(mask, "float32"))
    prompts = {}
    if prompt is not None:
        prompts["prompt_ids"] = np.array(prompt)
        prompts["prompt_mask"] = prompts["prompt_ids"] > 0
    return Batch(
        token_ids=ids[:, :-1],
        padding_mask=ids[:, :-1] > 0,
        actions=ids[:, 1:],
        mask=mask,
        continues=continues,
        segment_ids=None,
        **prompts,
    )


@pytest.mark.parametrize(
    ("marks", "before", "after"),
    [(BRACKETS, "[", "]"), (COLORS, "\033[1;32m", "\033[0m")],
)
def test_what_is_trained_stands_within_the_marks(marks, before, after):
    found = marked_texts(
        batch([[2, 3, 6, 1]], [[0, 1, 1]]), tokenizer(), 4, marks
    )
    assert found == [f"a fox{before} dog</s>{after}"]


def test_no_more_rows_are_shown_than_asked_for():
    several = batch([[2, 3, 1], [2, 6, 1], [2, 2, 1]], [[0, 1]] * 3)
    assert marked_texts(several, tokenizer(), 2, BRACKETS) == [
        "a fox[</s>]",
        "a dog[</s>]",
    ]


def test_a_row_of_padding_says_so():
    empty = batch([[0, 0, 0]], [[0, 0]])
    assert marked_texts(empty, tokenizer(), 1, BRACKETS) == ["(padding)"]


def test_a_cut_text_says_so():
    cut = batch([[2, 3, 6, 2]], [[1, 1, CONTINUES]])
    assert marked_texts(cut, tokenizer(), 1, BRACKETS) == ["a[ fox dog]a (cut)"]


def test_what_an_encoder_reads_stands_before_an_arrow():
    found = marked_texts(
        batch([[2, 3, 1]], [[1, 1]], prompt=[[6, 1, 0]]), tokenizer(), 1, HTML
    )
    (text,) = found
    assert text.startswith(" dog&lt;/s&gt; -&gt; a<mark ")
    assert text.endswith("> fox&lt;/s&gt;</mark>")


def test_a_text_is_escaped_and_has_one_line():
    hostile = batch([[2, 4, 5, 1]], [[0, 1, 1]])
    (shown,) = marked_texts(hostile, tokenizer(), 1, BRACKETS)
    assert shown == "a <b>[\\n</s>]"
    (page,) = marked_texts(hostile, tokenizer(), 1, HTML)
    assert page.startswith("a &lt;b&gt;<mark ") and "<b>" not in page


def test_ids_are_shown_where_there_is_no_tokenizer():
    found = marked_texts(batch([[2, 3, 1]], [[0, 1]]), None, 1, BRACKETS)
    assert found == [" 2 3[ 1]"]


def test_ids_without_a_token_are_shown_as_they_are():
    found = marked_texts(
        batch([[2, 99, 1]], [[1, 1]]), tokenizer(), 1, BRACKETS
    )
    assert found == ["a[<99></s>]"]


def test_the_middle_of_a_long_text_is_left_out():
    ids = [[2, *[3] * 100, 1]]
    (text,) = marked_texts(batch(ids, [[0] * 101]), tokenizer(), 1, BRACKETS)
    whole = "a" + " fox" * 100 + "</s>"
    assert text == f"{whole[:120]} ... {whole[-120:]}"
