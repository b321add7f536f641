"""ROUGE by hand, and the identities it satisfies."""

import pytest

from keras_irl.metrics.rouge import ROUGE
from keras_irl.metrics.rouge import rouge_1
from keras_irl.metrics.rouge import rouge_2
from keras_irl.metrics.rouge import rouge_lsum

METRICS = tuple(ROUGE.values())


@pytest.mark.parametrize("metric", METRICS)
def test_other_scripts_are_counted_by_another_tokenizer(metric):
    text = "猫坐在垫子上。狗跑了。"
    with pytest.warns(UserWarning, match="letters a to z.*tokenize='13a'"):
        assert metric([text], [[text]]) == 0.0
    assert metric([text], [[text]], tokenize="zh") == pytest.approx(100)
    assert metric(["Ёлка, дом"], [["ёлка, дом"]], tokenize="intl") == (
        pytest.approx(100)
    )


def test_words_of_another_tokenizer_are_shared_one_by_one():
    # Of 4 characters and 5, three are shared, in one order.
    responses, references = ["猫坐在上"], [["猫在垫子上"]]
    assert rouge_1(responses, references, "zh") == pytest.approx(100 * 6 / 9)
    assert rouge_2(responses, references, "zh") == 0.0
    # Sentences end without a space there.
    other = rouge_lsum(["狗跑。猫坐。"], [["猫坐。狗跑。"]], "zh")
    assert other == pytest.approx(100)


def test_counts_words_and_their_pairs():
    responses, references = ["the cat sat"], [["the cat ran off"]]
    # Of 3 words and 4, two are shared; of 2 pairs and 3, one.
    assert rouge_1(responses, references) == pytest.approx(100 * 4 / 7)
    assert rouge_2(responses, references) == pytest.approx(100 * 2 / 5)


def test_words_in_another_order_share_a_subsequence():
    responses, references = ["a b c d"], [["a c b d"]]
    assert rouge_1(responses, references) == pytest.approx(100)
    assert rouge_2(responses, references) == 0.0
    assert rouge_lsum(responses, references) == pytest.approx(75)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        # As sentences their order makes no difference; as one text it does.
        ("c d\na b", 100),
        ("c d. a b.", 100),
        ("c d! a b?", 100),
        ("'c (d.)' a b.", 100),
        ("c d.a b", 50),
        ("c d, a b.", 50),
        # Where there are lines, they are the sentences.
        ("c d. a b.\n.", 50),
        (" c d a b\n", 50),
    ],
)
def test_sentences_are_lines_or_end_in_a_mark_and_a_space(text, score):
    assert rouge_lsum([text], [["a b c d"]]) == pytest.approx(score)
    # Both sides alike.
    assert rouge_lsum(["a b c d"], [[text]]) == pytest.approx(score)


def test_the_best_reference_counts():
    score = rouge_1(["a b"], [["a b c d"]])
    assert rouge_1(["a b"], [["x", "a b c d", "y"]]) == score
    assert rouge_1(["a b"], [["a b c d", "a b"]]) == 100.0


@pytest.mark.parametrize("metric", METRICS)
def test_is_the_mean_over_rows(metric):
    one, other = (["the cat"], [["the cat"]]), (["the dog"], [["some fish"]])
    both = metric(one[0] + other[0], one[1] + other[1])
    assert both == pytest.approx((metric(*one) + metric(*other)) / 2)
    assert metric(*one) == 100.0
    assert metric(*other) == 0.0


@pytest.mark.parametrize("metric", METRICS)
def test_case_and_marks_make_no_difference(metric):
    assert metric(["The cat, sat!"], [["the CAT sat"]]) == 100.0
    assert metric([""], [["the cat sat"]]) == 0.0
    assert metric(["the cat"], [[""]]) == 0.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("responses", "references", "message"),
    [
        ([], [], "at least one"),
        (["a"], [], "row of references"),
        (["a"], [[]], r"references\[0\]"),
        ([3], [["a"]], r"responses\[0\]=3"),
    ],
)
def test_refuses_what_it_cannot_judge(metric, responses, references, message):
    with pytest.raises(ValueError, match=message):
        metric(responses, references)
