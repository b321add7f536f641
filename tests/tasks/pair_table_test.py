import gzip
import json

import numpy as np
import pytest

from keras_irl.metrics import bleu
from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.pair_table import PairTable
from keras_irl.tasks.pair_table import task_from_table

ROWS = (
    {"prompt": "p", "responses": ["a", "b"]},
    {"prompt": "q", "response": "c"},
    {"prompt": "p", "response": "d"},
)


def write(path, rows=ROWS):
    text = "\n".join(map(json.dumps, rows)) + "\n\n"
    path.write_bytes(text.encode())
    return path


def test_pairs_are_found_by_their_number(tmp_path):
    table = PairTable(write(tmp_path / "t.jsonl"))
    pairs = [table.pair(i) for i in range(len(table.keys))]
    assert pairs == [("p", "a"), ("p", "b"), ("q", "c"), ("p", "d")]
    assert table.num_blank_lines == 1
    # Pairs of one prompt have one key.
    assert len(set(table.keys.tolist())) == 2
    assert table.keys[0] == table.keys[1] == table.keys[3]


def test_columns_say_what_they_hold(tmp_path):
    rows = [{"prompt": p, "response": "x"} for p in "aab"]
    path = write(tmp_path / "my.jsonl", rows)
    task = task_from_table("mine", "test", PairTable(path), {"bleu": bleu})
    assert repr(task) == "<Task mine, test: 2 prompts, 3 pairs; bleu>"
    assert repr(task.prompts) == f"<2 prompts of {str(path)!r}>"
    assert repr(task.pairs[1]) == f"<3 responses of {str(path)!r}>"
    assert (
        repr(task.references) == f"<references of 2 prompts of {str(path)!r}>"
    )


def test_a_packed_file_is_read_alike(tmp_path):
    plain = write(tmp_path / "t.jsonl")
    packed = tmp_path / "t.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    table = PairTable(packed)
    assert [table.pair(i) for i in (3, 0)] == [("p", "d"), ("p", "a")]


def test_lines_of_other_columns_are_parsed_by_a_function(tmp_path):
    def parse(line):
        found = json.loads(line)
        if "q" not in found:
            raise LineError("no question", "q=nothing")
        return found["q"], found["answers"]

    rows = [{"q": "1 + 1", "answers": ["2"]}]
    table = PairTable(write(tmp_path / "t.jsonl", rows), parse)
    assert table.pair(0) == ("1 + 1", "2")
    path = write(tmp_path / "other.jsonl", [*rows, {}])
    with pytest.raises(ValueError, match="line 2: no question. Received: q="):
        PairTable(path, parse)


def test_a_file_that_changes_is_not_read_on(tmp_path):
    path = write(tmp_path / "t.jsonl")
    table = PairTable(path)
    write(path, ROWS[:1])
    with pytest.raises(ValueError, match="has changed since.*Received: path="):
        table.pair(2)


def test_blank_lines_alone_are_no_table(tmp_path):
    with pytest.raises(ValueError, match="only blank lines.*Received: path="):
        PairTable(write(tmp_path / "t.jsonl", []))


def test_a_test_split_has_each_prompt_once_with_all_its_references(tmp_path):
    table = PairTable(write(tmp_path / "t.jsonl"))
    test = task_from_table("t", "test", table, {})
    assert list(test.prompts) == ["p", "q"]
    assert list(test.responses) == ["a", "c"]
    assert list(test.references) == [["a", "b", "d"], ["c"]]
    assert list(test.references[:1]) == [["a", "b", "d"]]
    train = task_from_table("t", "train", table, {}, pairs=np.array([3, 2]))
    assert list(train.prompts) == ["p", "q"]
    assert list(train.responses) == ["d", "c"]
    assert list(train.prompts[1:]) == ["q"]
