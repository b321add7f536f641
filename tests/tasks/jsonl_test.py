"""Files of any length open in bounded memory and say what is wrong."""

import bz2
import copy
import gzip
import json
import lzma
import os
import pickle
import re
import tracemalloc

import numpy as np
import pytest

from keras_irl.data import load_task


def lines(*rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def pairs(number, start=0):
    return [
        {"prompt": f"prompt {i}", "response": f"response {i}"}
        for i in range(start, start + number)
    ]


def write(folder, content, name="texts.jsonl"):
    path = folder / name
    path.write_bytes(content)
    return path


def folder_with(tmp_path, train, test=None):
    write(tmp_path, lines(*train), "train.jsonl")
    if test is not None:
        write(tmp_path, lines(*test), "test.jsonl")
    return tmp_path


def both(path):
    return load_task("jsonl", "train", path), load_task("jsonl", "test", path)


def test_a_folder_gives_the_splits(tmp_path):
    train, test = both(folder_with(tmp_path, pairs(3), pairs(2, start=3)))
    assert list(train.prompts) == ["prompt 0", "prompt 1", "prompt 2"]
    assert list(train.responses) == ["response 0", "response 1", "response 2"]
    assert list(test.prompts) == ["prompt 3", "prompt 4"]
    assert list(test.references) == [["response 3"], ["response 4"]]


def test_a_list_of_responses_is_as_many_pairs(tmp_path):
    rows = [
        {"prompt": "p", "responses": ["a", "b"]},
        {"prompt": "q", "response": "c", "other": [1, {}]},
        {"prompt": "p", "response": "d"},
    ]
    train, test = both(folder_with(tmp_path, rows, rows))
    expected = (["p", "p", "q", "p"], ["a", "b", "c", "d"])
    for task in (train, test):
        assert tuple(map(list, task.pairs)) == expected
    assert (list(train.prompts), list(train.responses)) == expected
    p, q = ["a", "b", "d"], ["c"]
    assert list(train.references) == [p, p, q, p]
    assert list(test.prompts) == ["p", "q"]
    assert list(test.responses) == ["a", "c"]
    assert list(test.references) == [p, q]


@pytest.mark.parametrize("number", [2, 5, 200])
def test_a_tenth_of_the_prompts_is_held_out(tmp_path, number):
    rows = pairs(number) + [
        {"prompt": f"prompt {i}", "response": "again"} for i in range(number)
    ]
    train, test = both(write(tmp_path, lines(*rows)))
    held_out = set(test.prompts)
    assert len(held_out) == len(test.prompts) == max(1, number // 10)
    assert not held_out & set(train.prompts)
    assert len(train.prompts) + len(test.pairs[0]) == 2 * number
    assert all(texts[1] == "again" for texts in test.references)


def test_what_is_held_out_does_not_depend_on_the_order_of_lines(tmp_path):
    rows = pairs(100)
    test = load_task("jsonl", "test", write(tmp_path, lines(*rows)))
    held_out = set(test.prompts)
    folder = folder_with(tmp_path, rows[::-1])
    again = load_task("jsonl", "test", folder)
    assert set(again.prompts) == held_out


def test_one_prompt_alone_cannot_be_split(tmp_path):
    path = write(tmp_path, lines(*pairs(1), *pairs(1)))
    for split in ("train", "test"):
        with pytest.raises(ValueError, match="One prompt alone can't be split"):
            load_task("jsonl", split, path)


def test_columns_are_sequences(tmp_path):
    task = load_task("jsonl", "train", folder_with(tmp_path, pairs(5), []))
    for column in (task.prompts, task.responses, task.references):
        values = list(column)
        assert len(column) == len(values) == 5
        assert column[-1] == column[np.int64(4)] == values[4]
        # A list, which `policy.generate` takes, and no other sequence.
        assert column[1:4:2] == values[1:4:2]
        assert values[2] in column
        with pytest.raises(IndexError):
            column[5]
        with pytest.raises(TypeError):
            column["0"]
        assert list(pickle.loads(pickle.dumps(column))) == values


def test_blank_lines_are_skipped_and_counted(tmp_path):
    content = b"\n" + lines(*pairs(2)) + b" \t\r\n\n" + lines(*pairs(2, 2))
    path = write(tmp_path, content)
    task = load_task("jsonl", "train", path)
    assert task.num_blank_lines == 3
    with pytest.raises(ValueError, match="line 8: it is not valid JSON"):
        load_task("jsonl", "train", write(tmp_path, content + b"x"))


def test_texts_come_back_as_they_were(tmp_path):
    texts = ["é\u2028\x85\x0b", "\n\r\n", "", " ", "\x00", '"\\', "😀"]
    rows = [{"prompt": text, "response": text} for text in texts]
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    write(tmp_path, b"\xef\xbb\xbf" + content.encode(), "train.jsonl")
    write(tmp_path, b"", "test.jsonl")
    task = load_task("jsonl", "train", tmp_path)
    assert list(task.prompts) == list(task.responses) == texts


def test_is_judged_by_bleu_first(tmp_path):
    rows = [
        row | {"response": f"it is {i} o'clock"}
        for i, row in enumerate(pairs(60))
    ]
    task = load_task("jsonl", "test", write(tmp_path, lines(*rows)))
    assert list(task.metrics) == ["bleu", "chrf", "exact_match"]
    for metric in task.metrics.values():
        score = metric(task.responses, task.references)
        assert score == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{'prompt': 1}", "it is not valid JSON"),
        (b'{"prompt": "p"', "it is not valid JSON"),
        (b"[" * 100_000, "it is not valid JSON .*recursion"),
        (b"9" * 5000, "it is not valid JSON"),
        (b"NaN", "expected an object .*, found a number"),
        (b'["p", "r"]', "expected an object .*, found a list"),
        (b"null", "expected an object .*, found null"),
        (b"{}", r"the column 'prompt' is missing\. Received: columns=\[\]"),
        (b'{"prompt": "p", "text": ""}', r"'response' is missing\. .*'text'\]"),
        (b'{"prompt": 3, "response": "r"}', "'prompt' .* found a number"),
        (b'{"prompt": "p", "response": null}', "'response' .* found null"),
        (b'{"prompt": "p", "responses": "r"}', "'responses' must be a list"),
        (b'{"prompt": "p", "responses": []}', "'responses' must be a list"),
        (b'{"prompt": "p", "responses": ["r", []]}', "a string, found a list"),
        (b'{"prompt": "p", "response": "", "responses": [""]}', "both columns"),
        (b'{"prompt": "\xff"}', "byte 12 is not UTF-8"),
        (b'{"prompt": "\\ud800", "response": ""}', "half a surrogate pair"),
        (b'{"' + b"p" * 10_000 + b'": 1}', "'prompt' is missing.{1,80}$"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path, line, message):
    content = lines(*pairs(1)) + b"\n" + line + b"\n" + lines(*pairs(1))
    path = write(tmp_path, content)
    for split in ("train", "test"):
        with pytest.raises(
            ValueError, match=rf"texts\.jsonl, line 3: .*{message}"
        ) as caught:
            load_task("jsonl", split, path)
        told = str(caught.value)
        assert re.search(r"\. Received: [a-z]+=.{1,90}$", told)
        assert "\n" not in told
        # A worker process sends its errors to another.
        assert str(pickle.loads(pickle.dumps(caught.value))) == told


def test_names_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="give it as `path`.*path=None"):
        load_task("jsonl", "train")
    with pytest.raises(ValueError, match="no such file.*nowhere.jsonl"):
        load_task("jsonl", "train", tmp_path / "nowhere.jsonl")
    with pytest.raises(ValueError, match="no such file.*train.jsonl"):
        load_task("jsonl", "train", tmp_path)
    with pytest.raises(ValueError, match="train, test. Received: split='dev'"):
        load_task("jsonl", "dev", tmp_path)
    (tmp_path / "train.jsonl").mkdir()
    with pytest.raises(ValueError, match="found a folder"):
        load_task("jsonl", "train", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="found a pipe, which"):
        load_task("jsonl", "train", tmp_path / "pipe")
    for content in (b"", b"\n \n"):
        with pytest.raises(ValueError, match="holds no pairs.*Received: path="):
            load_task("jsonl", "train", write(tmp_path, content))


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path):
    path = tmp_path / "zeros.jsonl"
    with open(path, "wb") as file:
        file.truncate(2**32)  # Sparse: 4 GiB that take no space.
    with pytest.raises(ValueError, match="line 1: it is longer than 16777216"):
        load_task("jsonl", "train", path)


def test_notices_that_the_file_has_changed(tmp_path):
    path = write(tmp_path, lines(*pairs(3)))
    task = load_task("jsonl", "train", path)
    write(tmp_path, lines(*pairs(4)))
    with pytest.raises(ValueError, match="changed since it was opened"):
        task.prompts[0]


def test_memory_does_not_grow_with_the_texts(tmp_path):
    row = {"prompt": "p" * 2000, "response": "r" * 2000}
    path = tmp_path / "long.jsonl"
    with open(path, "wb") as file:
        for i in range(5000):
            file.write(lines(row | {"prompt": f"{i} {row['prompt']}"}))
    assert path.stat().st_size > 20e6
    tracemalloc.start()
    task = load_task("jsonl", "train", path)
    assert task.responses[17] == row["response"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6


def conversation(*turns):
    roles = ("user", "assistant") * len(turns)
    return {
        "messages": [
            {"role": role, "content": content}
            for role, content in zip(roles, turns, strict=False)
        ]
    }


def test_a_conversation_is_answered_by_its_last_turn(tmp_path):
    rows = [
        conversation("2 + 3?", "5", "and 4?", "9", "thanks"),
        conversation("hi", "hello") | {"prompt": None, "id": 3},
        {"prompt": "p", "response": "r", "messages": None},
    ]
    train, test = both(folder_with(tmp_path, rows, rows[:1]))
    first = "User:\n2 + 3?\n\nAssistant:\n5\n\nUser:\nand 4?\n\nAssistant:\n"
    second = "User:\nhi\n\nAssistant:\n"
    assert list(train.prompts) == [first, second, "p"]
    assert list(train.responses) == ["9", "hello", "r"]
    assert list(test.references) == [["9"]]


def test_a_turn_of_weight_0_is_no_response(tmp_path):
    row = conversation("a", "b", "c", "d")
    row["messages"][3]["weight"] = 0
    path = folder_with(tmp_path, [row], [])
    task = load_task("jsonl", "train", path)
    assert list(task.responses) == ["b"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (conversation("a"), "in the column 'messages', no turn is the assis"),
        ({"messages": []}, "no turn is the assistant's"),
        ({"messages": "hi"}, "a conversation is a list of turns"),
        ({"messages": [3]}, "a conversation is a list of turns"),
        (
            conversation("a", "b") | {"prompt": "p"},
            "both columns, 'messages' a",
        ),
        (
            {"messages": [{"role": "assistant", "content": "", "audio": 1}]},
            "the keys 'audio' besides",
        ),
    ],
)
def test_names_the_conversation_that_is_wrong(tmp_path, row, message):
    path = write(tmp_path, lines(*pairs(1), row))
    with pytest.raises(
        ValueError, match=rf"texts\.jsonl, line 2: .*{message}.*Received: "
    ):
        load_task("jsonl", "train", path)


def test_a_column_that_is_null_is_absent(tmp_path):
    rows = [
        {"prompt": "p", "response": "a", "responses": None},
        {"prompt": "q", "response": None, "responses": ["b", "c"]},
    ]
    task = load_task("jsonl", "train", folder_with(tmp_path, rows, []))
    assert list(task.prompts) == ["p", "q", "q"]
    assert list(task.responses) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["texts.jsonl", "texts.jsonl.gz", "texts"])
def test_a_file_that_is_gzip_is_read_whatever_its_name(tmp_path, name):
    rows = pairs(40)
    plain = both(write(tmp_path, lines(*rows), "plain.jsonl"))
    packed = both(write(tmp_path, gzip.compress(lines(*rows)), name))
    for a, b in zip(plain, packed, strict=True):
        assert list(a.prompts) == list(b.prompts)
        assert list(a.responses) == list(b.responses)
        sent = pickle.loads(pickle.dumps(b))
        assert list(sent.responses)[::-1] == list(b.responses)[::-1]


def test_a_folder_may_be_packed(tmp_path):
    write(tmp_path, gzip.compress(lines(*pairs(3))), "train.jsonl.gz")
    write(tmp_path, gzip.compress(lines(*pairs(1, 3))), "test.jsonl.gz")
    train, test = both(tmp_path)
    assert (len(train.prompts), list(test.prompts)) == (3, ["prompt 3"])


def test_a_file_that_is_packed_and_damaged_is_named(tmp_path):
    content = gzip.compress(lines(*pairs(2000)))
    for broken in (content[: len(content) // 2], content[:-6] + b"123456"):
        path = write(tmp_path, broken)
        with pytest.raises(
            ValueError, match=r"texts\.jsonl, line \d+: .*damaged.*: path="
        ):
            load_task("jsonl", "train", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "it is a zip archive.*Received: path="),
        (bz2.compress(b"x"), "it is packed by bzip2"),
        (lzma.compress(b"x"), "it is packed by xz"),
        (b"PAR1....", "it is a Parquet table"),
        (
            json.dumps(pairs(2), indent=1).encode(),
            "line 1: .*A JSON array begins there: write each of its objects",
        ),
        (json.dumps(pairs(2)).encode(), "line 1: .*A JSON array begins there"),
        (
            json.dumps(pairs(1)[0], indent=1).encode(),
            "line 1: .*go on in the next line",
        ),
        (
            b'{"prompt": "p", "prompt": "q", "response": "r"}',
            "line 1: the key 'prompt' stands there twice",
        ),
        (lines(*pairs(2)).decode().encode("utf-16"), "line 1: it is UTF-16"),
        (lines(*pairs(2)).decode().encode("utf-32"), "line 1: it is UTF-16 or"),
        (
            lines(*pairs(2)).decode().encode("utf-16-le"),
            "line 1: byte 1 is 0, as in a file that is damaged, or UTF-16",
        ),
        (lines(*pairs(1)) + b"\0\0\0", "line 2: byte 0 is 0"),
        (b'{"prompt": "caf\xe9", "response": "r"}', "line 1: .*is not UTF-8"),
        (b'{"prompt": 1, "response": "r"}', "line 1: .*found a number"),
        (b'{"prompt": "p", "response": 2.5}', "line 1: .*found a number"),
    ],
)
def test_says_what_a_file_is_that_has_no_lines_of_objects(
    tmp_path, content, message
):
    path = write(tmp_path, content)
    with pytest.raises(ValueError, match=f"{message}.*"):
        load_task("jsonl", "train", path)


def test_a_task_can_be_copied_and_sent(tmp_path):
    for task in both(write(tmp_path, lines(*pairs(30)))):
        for made in (copy.deepcopy(task), pickle.loads(pickle.dumps(task))):
            assert list(made.prompts) == list(task.prompts)
            for name, metric in made.metrics.items():
                responses = ["response 3 a b"] * len(task.prompts)
                assert metric(responses, made.references) == task.metrics[name](
                    responses, task.references
                )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"prompt,response\n2 + 3?,5\n", "CSV"),
        (b'"prompt","response"\n"2 + 3?","5"\n', "CSV"),
        (b"prompt\tresponse\n2 + 3?\t5\n", "TSV"),
    ],
)
def test_a_table_is_called_what_it_looks_like(tmp_path, content, name):
    message = f"line 1: .*This looks like {name}: write each row.*Received: "
    with pytest.raises(ValueError, match=message):
        load_task("jsonl", "train", write(tmp_path, content))


@pytest.mark.parametrize(
    "content", [b"Well, this is a text, and no table.", b"one", b'{"a": 1,}']
)
def test_a_text_is_no_table(tmp_path, content):
    with pytest.raises(ValueError, match="line 1: ") as caught:
        load_task("jsonl", "train", write(tmp_path, content))
    assert "looks like" not in str(caught.value)
