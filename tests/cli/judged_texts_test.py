import json

import numpy as np
import pytest

import keras_irl
from keras_irl.cli import judged_texts


def test_the_answers_of_conversations_are_rewarded(tmp_path):
    turns = [
        {"role": "user", "content": "count"},
        {"role": "assistant", "content": "1 2"},
    ]
    path = tmp_path / "chats.jsonl"
    path.write_text(json.dumps({"messages": turns}) + "\n")
    found = judged_texts.read_texts(path, [])
    assert found.prompts == ["User:\ncount\n\nAssistant:\n"]
    assert found.responses == ["1 2"]


def test_every_text_is_judged_alone():
    task = keras_irl.data.load_task("arithmetic", "test").first(2)
    bleu, chrf = keras_irl.metrics.bleu, keras_irl.metrics.chrf
    given = task.with_metrics(
        prompt_metrics={
            "same": keras_irl.metrics.mean_over_texts(
                lambda prompts, responses, references: [
                    float(p == r)
                    for p, r in zip(prompts, responses, strict=True)
                ]
            )
        }
    ).metrics["same"]
    samples = [[task.prompts[0], "a"], [task.prompts[0], task.prompts[1]]]
    numbers = judged_texts.text_numbers(given, samples, task.references)
    assert numbers.tolist() == [[1, 0], [0, 1]]
    samples = [[task.responses[0], "1"], [task.responses[0], "2 + 2 = 4"]]
    for metric in (bleu, chrf):
        numbers = judged_texts.text_numbers(metric, samples, task.references)
        alone = [
            [metric([text], [references]) for text in texts]
            for texts, references in zip(samples, task.references, strict=True)
        ]
        np.testing.assert_allclose(numbers, alone)


def write(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def test_columns_of_numbers_are_read_beside_the_texts(tmp_path):
    rows = [
        {"prompt": "p", "response": "r", "score": 2, "finished": False},
        {"prompt": "q", "response": "", "score": True},
    ]
    found = judged_texts.read_texts(
        write(tmp_path / "t.jsonl", *rows), ["score"]
    )
    assert found.prompts == ["p", "q"] and found.responses == ["r", ""]
    assert found.finished == [False, True]
    assert found.metrics == {"score": [2.0, 1.0]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "p", "response": "r"}, "column 'score' is missing"),
        (
            {"prompt": "p", "response": "r", "score": 1, "finished": 1},
            "'finished' must be true or false.*Received: finished=1",
        ),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path, row, message):
    path = write(tmp_path / "t.jsonl", row)
    with pytest.raises(ValueError, match=f"(?s)line 1.*{message}"):
        judged_texts.read_texts(path, ["score"])


def test_a_file_without_texts_is_refused(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("\n\n")
    with pytest.raises(ValueError, match="only blank lines.*Received: path="):
        judged_texts.read_texts(path, [])
