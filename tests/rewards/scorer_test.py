"""A policy's reward as a function, as other libraries call it."""

import warnings

import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES

from keras_irl.rewards import RewardReader
from keras_irl.rewards import as_scorer
from keras_irl.rewards.scorer import ResponseTruncator

PROMPTS, RESPONSES = list(PROMPTS), list(RESPONSES)


def test_scores_are_totals_and_trl_may_ask_for_them(gpt2, gpt2_reader):
    score = as_scorer(gpt2, 0.9, 0.5, batch_size=2)
    expected = [text.total for text in gpt2_reader(PROMPTS, RESPONSES)]
    scores = score(PROMPTS, RESPONSES)
    assert scores == pytest.approx(expected, abs=1e-4)
    assert all(type(number) is float for number in scores)
    # As `GRPOTrainer` calls it, and as it asks for a name to log.
    rows = {"completion_ids": [[1]] * 3, "answer": ["5"] * 3}
    asked = score(
        prompts=PROMPTS, completions=RESPONSES, trainer_state=None, **rows
    )
    assert asked == pytest.approx(scores, abs=1e-6)
    assert score.__name__ == "accumulated_reward"
    chat = [[{"role": "assistant", "content": "5"}]] * 3
    with pytest.raises(ValueError, match=r"a string.*Received: responses\[0\]"):
        score(prompts=PROMPTS, completions=chat)
    with pytest.raises(ValueError, match=r"as strings.*Received: responses.0"):
        score(PROMPTS, [[3, 4]] * 3)
    with pytest.raises(ValueError, match="either `responses` or.*Received: "):
        score(PROMPTS, response=RESPONSES)


def test_a_scorer_scores_what_fits_of_a_long_response(policy):
    prompts = ["call me ishmael", "the earth", "the earth"]
    long = " ".join(["the lazy dog"] * 40)
    score = as_scorer(policy, 0.9, batch_size=3)
    with pytest.warns(UserWarning, match=r"what fits.*Received: responses\[1"):
        scores = score(prompts, ["call", long, "the"])
    assert np.isfinite(scores).all()
    # Once is enough.
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "A response is longer")
        again = score(prompts, ["call", long + " dog", "the"])
    assert again == pytest.approx(scores, abs=1e-4)
    # As a text that fills the window, and was cut there.
    cut, are_cut = ResponseTruncator(policy)(prompts, ["call", long, "the"])
    assert are_cut == [False, True, False] and long.startswith(cut[1])
    reader = RewardReader(policy, 0.9, batch_size=3)
    texts = reader(prompts, cut, [True, False, True])
    assert scores == pytest.approx([t.total for t in texts], abs=1e-4)
    with pytest.raises(ValueError, match="Row 0: the text does not fit"):
        reader(prompts[1:2], [long[: len(cut[1]) + 4]])


def test_a_scorer_minds_what_was_cut(gpt2, gpt2_reader):
    score = as_scorer(gpt2, 0.9, 0.5, batch_size=3)
    finished = [True, False, False]
    texts = gpt2_reader(PROMPTS, RESPONSES, finished)
    columns = {"prompts": PROMPTS, "completions": RESPONSES}
    scores = score(**columns, finished=finished)
    assert scores == pytest.approx([text.total for text in texts], abs=1e-4)
    assert scores != pytest.approx(score(**columns), abs=1e-2)
    # Of no token there is no reward; an end token is one.
    empty = score(["a"] * 3, ["", "", "b"], finished=[False, True, True])
    assert empty[0] == 0.0 and empty[1] != 0.0 and empty[2] != 0.0
    assert score(["a"], [""], finished=[False]) == [0.0]
    with pytest.raises(ValueError, match="one boolean for each.*Received: fin"):
        score(PROMPTS, RESPONSES, finished=["yes"] * 3)
    with pytest.raises(ValueError, match="Row 0: the text does not fit"):
        score(["a" * 99], ["b"])
