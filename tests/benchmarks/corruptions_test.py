import numpy as np
import pytest
from corruptions import KINDS
from corruptions import auc
from corruptions import corrupt
from corruptions import rank_of_lowest
from corruptions import tokens_at

from keras_irl.data import load_task
from keras_irl.tasks.arithmetic import solution_paths


@pytest.fixture(scope="module")
def task():
    return load_task("arithmetic", "test")


def test_every_corruption_is_wrong_and_its_place_is_right(task):
    for seed, (prompt, response) in enumerate(
        zip(task.prompts, task.responses, strict=True)
    ):
        valid = solution_paths(prompt)
        wrongs = corrupt(response, seed)
        assert [wrong.kind for wrong in wrongs] == list(KINDS)
        for wrong in wrongs:
            assert wrong.response not in valid
            head = wrong.response[: wrong.start]
            # Right up to there, and with that word no longer.
            assert any(path.startswith(head) for path in valid)
            begun = wrong.response[: wrong.end] + " "
            if wrong.kind == "early stop":
                begun = wrong.response + "</s>"
            assert not any((path + " ").startswith(begun) for path in valid)


def test_mistakes_are_one_each(task):
    for seed, response in enumerate(task.responses[:50]):
        step, answer, stop, twice = (
            c.response for c in corrupt(response, seed)
        )
        total = step.rsplit(" ", 1)[1]
        assert step.split(" , ")[1].endswith(f"= {total}")
        assert answer.split()[:-1] == response.split()[:-1]
        assert response.startswith(stop)
        assert twice == f"{stop} , {response}"
        assert all(int(n) >= 0 for n in step.split() if n.isdigit())
        assert "-" not in step + answer


def test_tokens_are_found_by_their_characters():
    tokens = [" 5", " +", " ", "1", "2", "</s>"]
    text = "5 + 12"
    assert tokens_at(tokens, text, 0, 1).tolist() == [0]
    assert tokens_at(tokens, text, 4, 6).tolist() == [3, 4]
    assert tokens_at(tokens, text, 6, 6).tolist() == [5]
    with pytest.raises(ValueError, match="do not spell.*Received: tokens"):
        tokens_at(tokens, "5 - 12", 0, 1)


def test_a_chance_of_one_half_is_that_of_equals():
    generator = np.random.default_rng(0)
    right, wrong = generator.integers(0, 5, (2, 30))
    pairs = np.subtract.outer(right, wrong)
    expected = np.mean((pairs > 0) + 0.5 * (pairs == 0))
    assert auc(right, wrong) == pytest.approx(expected)
    assert auc([1.0] * 3, [1.0] * 4) == 0.5
    assert auc([2.0], [1.0]) == 1.0
    assert rank_of_lowest([1.0, 1.0, 5.0], [1]) == 1.5
    # Of several positions the lowest counts, wherever it stands among them.
    assert rank_of_lowest([4.0, 0.0, 3.0, 9.0, 2.0], [3, 4, 0]) == 2.0
    assert rank_of_lowest([4.0, 0.0, 3.0, 9.0, 2.0], [2, 3]) == 3.0
    assert rank_of_lowest([1.0, 1.0, 5.0], [2, 0]) == 1.5
    with pytest.raises(ValueError, match="Received: wrong="):
        auc([1.0], [])


@pytest.mark.parametrize(
    "response", ["", "answer 3", "1 + 2 = 3 , answer 3", "a + b = c , d , e"]
)
def test_other_texts_are_refused(response):
    with pytest.raises(ValueError, match="two steps or more.*Received"):
        corrupt(response)
