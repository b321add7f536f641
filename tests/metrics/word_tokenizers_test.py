"""Words, and texts that have none between spaces."""

import sys
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from keras_irl.data import load_task
from keras_irl.metrics import word_tokenizers
from keras_irl.metrics.word_tokenizers import check_tokenizer
from keras_irl.metrics.word_tokenizers import splitter
from keras_irl.metrics.word_tokenizers import warn_of_unspaced


@pytest.mark.parametrize(
    ("tokenize", "expected"),
    [
        ("13a", ["it's", "«", "猫狗", "»", ",", "ok", "."]),
        ("intl", ["it", "'", "s", "«", "猫狗", "»", ",", "ok", "."]),
        ("zh", ["it's", "«", "猫", "狗", "»", ",", "ok", "."]),
        ("char", list("it's«猫狗»,ok.")),
        ("none", ["it's", "«", "猫狗", "»,", "ok."]),
    ],
)
def test_words_are_those_of_the_tokenizer(tokenize, expected):
    assert splitter(tokenize)("it's « 猫狗 », ok.") == expected


@given(
    text=st.lists(
        st.sampled_from(
            ["a", "1", ".", ",", "-", "&amp;", "&quot;", "<skipped>", "<", "é"]
            + [" ", "  ", "\n", "\t", "\x1c", "\u2028", "\xa0", "猫", "/", "'"]
        ),
        max_size=12,
    ).map("".join)
)
def test_pieces_of_a_text_have_the_words_of_the_text(text):
    assert splitter("13a")(text) == Tokenizer13a()(text).split()


@pytest.mark.parametrize("text", ["a-\nb c", "-<skipped>\n", "<ski-\npped>"])
def test_a_hyphen_joins_a_word_to_the_next_line(text):
    assert splitter("13a")(text) == Tokenizer13a()(text).split()


def test_japanese_words_are_those_of_a_dictionary():
    pytest.importorskip("MeCab")
    words = splitter("ja-mecab")("私は猫が好きです。")
    assert words == ["私", "は", "猫", "が", "好き", "です", "。"]


def test_japanese_words_need_a_package(monkeypatch):
    module = "sacrebleu.tokenizers.tokenizer_ja_mecab"
    monkeypatch.setitem(sys.modules, "MeCab", None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    word_tokenizers._splitter.cache_clear()
    message = r"`mecab-python3`.*sacrebleu\[ja\].*tokenize='ja-mecab'"
    with pytest.raises(ValueError, match=message):
        check_tokenizer("ja-mecab")
    with pytest.raises(ValueError, match=message):
        load_task("arithmetic", "test", tokenize="ja-mecab")
    monkeypatch.undo()
    sys.modules.pop(module, None)
    word_tokenizers._splitter.cache_clear()


@pytest.mark.parametrize("tokenize", ["thai", "ZH", "", None, 13, ["zh"]])
def test_an_unknown_tokenizer_is_refused(tokenize):
    with pytest.raises(ValueError, match=r"one of .*ja-mecab.*tokenize="):
        check_tokenizer(tokenize)
    with pytest.raises(ValueError, match=r"Received: tokenize="):
        load_task("arithmetic", "test", tokenize=tokenize)


@pytest.mark.parametrize(
    ("text", "tokenize", "better"),
    [
        ("我们今天去公园散步。", "13a", "zh"),
        ("我们今天去公园散步 with me", "intl", "zh"),
        ("私は猫がすきです", "13a", "ja-mecab"),
        ("わたしはねこがすきです", "zh", "ja-mecab"),
        ("ฉันรักแมวของฉัน", "13a", "char"),
        ("ฉันรักแมวของฉัน", "zh", "char"),
        ("ខ្ញុំស្រឡាញ់ឆ្មា", "none", "char"),
        ("ကျွန်တော်ကြောင်ချစ်တယ်", "ja-mecab", "char"),
    ],
)
def test_words_that_no_spaces_separate_are_told(text, tokenize, better):
    with pytest.warns(UserWarning, match=f"`--tokenize {better}`"):
        warn_of_unspaced(["ok", text], tokenize)


@pytest.mark.parametrize(
    ("text", "tokenize"),
    [
        ("the 猫 sat on the mat", "13a"),
        ("나는 고양이를 좋아한다", "13a"),
        ("Привет, как дела?", "13a"),
        ("我们今天去公园散步。", "zh"),
        ("ฉันรักแมวของฉัน", "char"),
        ("", "13a"),
        ("。。。", "13a"),
    ],
)
def test_other_texts_are_not_warned_of(text, tokenize):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unspaced([text], tokenize)


@pytest.mark.parametrize(
    "text", ["猫 坐 在 垫子 上 看着 窗外 的 小鸟 。", "ฉัน ชอบ แมว มาก"]
)
def test_texts_whose_words_are_separated_already_are_fine(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unspaced([text, text], "13a")


@pytest.mark.parametrize(
    "text", ["ꀀꀁꀂꀃꀄꀅꀆꀇ", "ꦏꦸꦕꦶꦁꦏꦸꦕꦶꦁ", "猫坐在垫子上 看着窗外的小鸟"]
)
def test_scripts_without_spaces_are_known(text):
    with pytest.warns(UserWarning, match="not separated by spaces"):
        warn_of_unspaced([text], "13a")
