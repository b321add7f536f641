"""Every solution of the sums is known, and nothing else is one."""

import itertools
import re

import pytest

from keras_irl.data import load_task
from keras_irl.tasks.arithmetic import answer_accuracy
from keras_irl.tasks.arithmetic import coverage
from keras_irl.tasks.arithmetic import load_arithmetic
from keras_irl.tasks.arithmetic import solution_paths


def is_solution(prompt, response):
    """Follows a response step by step, with the numbers that are left."""
    left = list(map(int, prompt.split(" + ")))
    *steps, answer = response.split(" , ")
    total = None
    for step in steps:
        match = re.fullmatch(r"(\d+) \+ (\d+) = (\d+)", step)
        if not match:
            return False
        a, b, result = map(int, match.groups())
        if total is None and a in left:
            left.remove(a)
            total = a
        if a != total or b not in left or a + b != result:
            return False
        left.remove(b)
        total = result
    return not left and answer == f"answer {total}"


@pytest.mark.parametrize("prompt", ["1 + 2", "3 + 4 + 5", "2 + 2 + 4 + 3"])
def test_every_path_is_a_different_solution(prompt):
    paths = solution_paths(prompt)
    assert len(set(paths)) == len(paths)
    assert all(is_solution(prompt, path) for path in paths)


@pytest.mark.parametrize("prompt", ["1 + 2 + 3", "1 + 1 + 2", "2 + 2 + 2"])
def test_no_path_is_forgotten(prompt):
    numbers = list(map(int, prompt.split(" + ")))
    total = sum(numbers)
    operands = range(1, total)
    texts = {
        f"{a} + {b} = {a + b} , {c} + {d} = {total} , answer {total}"
        for a, b, c, d in itertools.product(operands, repeat=4)
    }
    found = sorted(text for text in texts if is_solution(prompt, text))
    assert found == solution_paths(prompt)


def test_each_order_of_the_numbers_is_a_solution():
    assert len(solution_paths("3 + 4 + 5")) == 6
    assert len(solution_paths("1 + 2 + 4 + 8")) == 24
    assert len(solution_paths("2 + 2 + 2")) == 1


@pytest.mark.parametrize(
    "prompt", ["", "3", "3+4", "3 + x", "-1 + 2", "1 + 1 + 1 + 1 + 1 + 1", 3]
)
def test_refuses_what_is_no_problem(prompt):
    with pytest.raises(ValueError, match="such as '3 . 4 . 5'. Received: prom"):
        solution_paths(prompt)


def test_demonstrations_are_valid():
    for split in ("train", "test"):
        task = load_task("arithmetic", split)
        assert list(task.metrics) == ["valid", "answer"]
        for metric in task.metrics.values():
            assert metric(task.responses, task.references) == 100.0
        assert all(map(is_solution, *task.pairs))


def test_permutations_of_a_prompt_are_in_one_split():
    train, test = (
        load_task("arithmetic", "train"),
        load_task("arithmetic", "test"),
    )
    sums = [
        {tuple(sorted(prompt.split(" + "))) for prompt in task.prompts}
        for task in (train, test)
    ]
    assert not sums[0] & sums[1]
    assert len(train.prompts) == len(set(train.prompts)) == 7750
    assert len(test.prompts) == len(set(test.prompts)) == 240


def test_the_test_pairs_are_all_solutions():
    task = load_task("arithmetic", "test")
    assert len(task.pairs[0]) == sum(map(len, task.references))
    assert len(set(zip(*task.pairs, strict=True))) == len(task.pairs[0])


def test_draws_follow_from_the_seed():
    first, again = load_arithmetic(), load_arithmetic()
    other = load_arithmetic(seed=1)
    assert first.pairs == again.pairs
    assert first.pairs != other.pairs


def test_demonstrations_are_drawn_from_all_solutions():
    task = load_task("arithmetic", "train")
    places = [
        paths.index(response) / len(paths)
        for response, paths in zip(task.responses, task.references, strict=True)
    ]
    assert 0.4 < sum(places) / len(places) < 0.5


def test_the_first_numbers_never_change():
    task = load_task("arithmetic", "train")
    assert (task.prompts[0], task.responses[0]) == FIRST


FIRST = ("4 + 5 + 7", "7 + 5 = 12 , 12 + 4 = 16 , answer 16")


@pytest.mark.parametrize(
    ("response", "valid", "answer"),
    [
        ("3 + 4 = 7 , 7 + 5 = 12 , answer 12", 100, 100),
        (" 5 + 4 = 9  , 9 + 3 = 12 , answer 12\n", 100, 100),
        ("3 + 4 = 8 , 8 + 5 = 12 , answer 12", 0, 100),
        ("3 + 4 = 7 , 7 + 5 = 12 , answer 11", 0, 0),
        ("3 + 4 = 7 , answer 12", 0, 100),
        ("3 + 4 = 7 , 5 + 7 = 12 , answer 12", 0, 100),
        ("3 + 3 = 6 , 6 + 6 = 12 , answer 12", 0, 100),
        ("answer 12 , answer 12", 0, 0),
        ("12", 0, 0),
        ("", 0, 0),
    ],
)
def test_tells_a_valid_response_from_a_right_answer(response, valid, answer):
    metrics = load_task("arithmetic", "test").metrics
    references = [solution_paths("3 + 4 + 5")]
    assert metrics["valid"]([response], references) == valid
    assert metrics["answer"]([response], references) == answer


def test_coverage_counts_different_solutions():
    paths = solution_paths("1 + 2")
    wrong = "1 + 2 = 4 , answer 4"
    for samples, expected in [
        ([paths[0]], 100),
        ([wrong], 0),
        ([paths[0], paths[0]], 50),
        ([paths[0], paths[1] + " "], 100),
        ([paths[0], wrong, wrong, paths[1], wrong], 100),
        ([wrong, wrong, paths[1]], 50),
    ]:
        assert coverage([samples], [paths]) == expected
    assert coverage([[paths[0]], [wrong]], [paths, paths]) == 50


def test_several_samples_vote_and_are_tried():
    metrics = load_task("arithmetic", "test").sample_metrics
    samples = [["answer 3", "1 + 2 = 3 , answer 3", "answer 4"]]
    references = [solution_paths("1 + 2")]
    assert metrics["majority_vote"](samples, references) == 100.0
    assert metrics["pass_at_2"](samples, references) == 100.0
    assert metrics["pass_at_4"](samples, references) is None


@pytest.mark.parametrize("metric", [answer_accuracy, coverage])
def test_refuses_what_it_cannot_judge(metric):
    with pytest.raises(ValueError, match="at least one"):
        metric([], [])
    with pytest.raises(ValueError, match="Received"):
        metric([["a"]] if metric is coverage else ["a"], [])
    with pytest.raises(ValueError, match="Received"):
        metric([["a"]] if metric is coverage else ["a"], [[]])


def test_a_reference_without_an_answer_is_refused():
    with pytest.raises(ValueError, match=r"Received: references\[0\]=\['y'\]"):
        answer_accuracy(["x"], [["y"]])
    with pytest.raises(ValueError, match=r"references\[1\]="):
        answer_accuracy(["x"] * 2, [["answer 1"], ["answer 2", "y"]])


@pytest.mark.parametrize("samples", [["a"], [[]]])
def test_coverage_needs_samples(samples):
    with pytest.raises(ValueError, match=r"at least one sample.*samples\[0\]"):
        coverage(samples, [["a"]])


def test_reads_no_files(tmp_path):
    with pytest.raises(ValueError, match="leave `path` out. Received: path="):
        load_task("arithmetic", "train", tmp_path)
    with pytest.raises(ValueError, match="train, test. Received: split='val'"):
        load_task("arithmetic", "val")
