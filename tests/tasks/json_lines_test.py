"""Lines of files, and what is wrong with them."""

import gzip

import pytest

from keras_irl.tasks.json_lines import LineError
from keras_irl.tasks.json_lines import decode
from keras_irl.tasks.json_lines import numbered_lines
from keras_irl.tasks.json_lines import parse_object
from keras_irl.tasks.json_lines import parse_pairs
from keras_irl.tasks.json_lines import require_data_folder
from keras_irl.tasks.json_lines import text_of


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_have_their_numbers_and_offsets(tmp_path, pack):
    path = tmp_path / "lines"
    path.write_bytes(pack(b"a\n\nlonger"))
    lines = list(numbered_lines(path))
    assert [line.number for line in lines] == [1, 2, 3]
    assert [line.offset for line in lines] == [0, 2, 3]
    assert [line.data for line in lines] == [b"a\n", b"\n", b"longer"]


def test_the_mark_of_an_editor_is_no_text():
    assert decode(b"\xef\xbb\xbfa") == "a"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\xff\xfea\0", "UTF-16"),
        (b"a\0", "byte 1 is 0"),
        (b"a\xff", "byte 1 is not UTF-8"),
        (b"{", "not valid JSON.*goes? on in the next line|Does the object"),
        (b"[1]", "found a list.*jq"),
        (b'{"a": 1, "a": 2}', "'a' stands there twice"),
    ],
)
def test_says_what_is_wrong_with_a_line(line, message):
    with pytest.raises(LineError, match=message):
        parse_object(line)


def test_an_error_tells_its_place_once_that_is_known():
    error = LineError("it is wrong", "line='x'")
    assert str(error) == "it is wrong. Received: line='x'"
    assert str(error.at("f.jsonl", 3)).startswith("f.jsonl, line 3: it is")


def test_a_column_holds_a_text():
    assert text_of({"prompt": "a"}, "prompt") == "a"
    with pytest.raises(LineError, match="'prompt' is missing"):
        text_of({}, "prompt")
    with pytest.raises(LineError, match="must hold a string, found null"):
        text_of({"prompt": None}, "prompt")


def test_a_line_has_one_or_several_responses():
    line = b'{"prompt": "p", "response": "r", "responses": null}'
    assert parse_pairs(line) == ("p", ["r"])
    assert parse_pairs(b'{"prompt": "p", "responses": ["r", "s"]}') == (
        "p",
        ["r", "s"],
    )


def test_data_lie_in_a_folder(tmp_path):
    assert require_data_folder("e2e", str(tmp_path), "a.csv") == tmp_path
    for path in (None, tmp_path / "none"):
        with pytest.raises(ValueError, match="folder with a.csv.*path="):
            require_data_folder("e2e", path, "a.csv")
