import io
import json
import os
import re
import sys

import pytest
from testing import PROMPT_LINES
from testing import PROMPTS_OF_LINES
from testing import quick_start
from testing import tiny_gpt2

from keras_irl.__main__ import main
from keras_irl.cli.generate import COLUMNS
from keras_irl.cli.generate import check_response_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A policy that was saved, and a file of prompts."""
    folder = tmp_path_factory.mktemp("generate")
    quick_start(tiny_gpt2(max_length=30)).save(folder / "p.keras")
    (folder / "prompts.jsonl").write_text("\n".join(PROMPT_LINES), "utf-8")
    return folder


def generate(folder, *arguments, prompts="prompts.jsonl"):
    return main(
        [
            *("generate", "--policy", str(folder / "p.keras")),
            *("--prompts", str(folder / prompts), "--batch-size", "8"),
            *arguments,
        ]
    )


def test_every_prompt_is_answered_on_a_line(folder, capsys):
    sampled = ("--decoder", "T=0.7", "--num-samples", "2", "--seed", "3")
    assert generate(folder, *sampled) == 0
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [row["prompt"] for row in rows] == PROMPTS_OF_LINES
    assert [len(set(row["responses"])) for row in rows] == [2] * 4
    assert all(list(row) == list(COLUMNS) for row in rows)
    assert {type(x) for row in rows for x in row["finished"]} == {bool}
    # What is no data does not stand among them.
    assert "8 responses to 4 prompts" in shown.err
    # A file, once and not unasked again.
    path = folder / "new" / "out.jsonl"
    to_file = (*sampled, "--output", str(path))
    assert generate(folder, *to_file) == 0
    assert path.read_text("utf-8") == shown.out
    assert os.listdir(path.parent) == ["out.jsonl"]
    assert capsys.readouterr().out == ""
    assert generate(folder, *to_file) == 2
    assert "holds responses from before" in capsys.readouterr().err
    (folder / "short.jsonl").write_text(json.dumps(PROMPTS_OF_LINES[-1]))
    again = ("--output", str(path), "--overwrite")
    assert generate(folder, *again, prompts="short.jsonl") == 0
    (row,) = map(json.loads, path.read_text("utf-8").splitlines())
    assert row["prompt"] == PROMPTS_OF_LINES[-1] and len(row["responses"]) == 1


def test_no_character_is_lost_on_another_terminal(folder, monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    text = f"{'é' * 20}"
    (folder / "accents.jsonl").write_text(json.dumps(text))
    assert generate(folder, prompts="accents.jsonl") == 0
    ascii_only.flush()
    row = json.loads(ascii_only.buffer.getvalue().decode("ascii"))
    assert row["prompt"] == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("three", "line 2: it is not valid JSON"),
        ('"three', "line 2: it is not valid JSON"),
        ("3", "line 2: expected an object.*a number"),
        ('"\\ud800"', "line 2: .*half a surrogate pair"),
        ('{"text": "x"}', "line 2: the column 'prompt' is missing"),
        ('{"prompt": null}', "line 2: .*'prompt' must hold a string"),
        ('{"messages": []}', "line 2: .*'messages' has no turns; write what"),
        ('{"messages": "x"}', "line 2: in the column 'messages', "),
        ('{"messages": [{"role": "bot", "content": "x"}]}', "line 2: .*bot"),
        (json.dumps("x" * 99), "line 2: .*fills the window.*Received"),
    ],
)
def test_errors_name_the_flag_and_the_line(folder, capsys, line, message):
    (folder / "wrong.jsonl").write_text(f'"one"\n{line}\n')
    assert generate(folder, prompts="wrong.jsonl") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    (told,) = (x for x in shown.err.splitlines() if "error: " in x)
    prefix, _, rest = told.partition("wrong.jsonl, ")
    assert prefix.startswith("keras-irl: error: argument --prompts: ")
    assert re.search(message, rest), told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-samples", "2"], "argument --num-samples: Greedy decoding"),
        (["--decoder", "beam=2", "--num-samples", "3"], "here 2. Pass `--num"),
        (["--output", "theirs.jsonl"], "argument --output: `generate` did not"),
        (["--policy", "nowhere.keras"], "found nothing there"),
        (["--prompts", "nowhere.jsonl"], "no such file"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    folder, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(folder)
    theirs = folder / "theirs.jsonl"
    theirs.write_text('{"prompt": "x", "responses": ["y"]}\n')
    assert generate(folder, *arguments) == 2
    assert theirs.read_text() == '{"prompt": "x", "responses": ["y"]}\n'
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.partition(".*")[0] in told
    assert message.rpartition(".*")[2] in told


def test_a_file_without_prompts_is_refused(folder, capsys):
    (folder / "empty.jsonl").write_text("\n \n")
    assert generate(folder, prompts="empty.jsonl") == 2
    assert "--prompts: The file holds no prompts" in capsys.readouterr().err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    row = {"prompt": "x", "responses": ["y"]}
    (tmp_path / "prompts.jsonl").write_text(json.dumps("x"))
    (tmp_path / "theirs.jsonl").write_text(json.dumps(row))
    (tmp_path / "text").write_text("no JSON")
    ours = dict.fromkeys(COLUMNS, [])
    (tmp_path / "ours.jsonl").write_text(json.dumps(ours) + "\n")
    (tmp_path / "link").symlink_to("nowhere")
    return tmp_path


def check(path, overwrite=False):
    check_response_file(path, overwrite, "prompts.jsonl")


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        (".", "this is a folder"),
        ("theirs.jsonl", "did not write this file"),
        ("text", "did not write this file"),
        ("./prompts.jsonl", "prompts themselves would be replaced"),
        ("text/x", "is a file, and no folder"),
        ("/dev/null", "Leave `--output` out"),
        ("link", "This is no file"),
    ],
)
def test_what_is_not_ours_is_never_replaced(here, path, message, overwrite):
    before = {p.name: p.lstat().st_size for p in here.iterdir()}
    with pytest.raises(ValueError, match=f"{message}.*Received: output="):
        check(path, overwrite)
    assert {p.name: p.lstat().st_size for p in here.iterdir()} == before


def test_ours_is_replaced_where_that_is_asked_for(here):
    with pytest.raises(ValueError, match="--overwrite.*Received: output="):
        check("ours.jsonl")
    check("ours.jsonl", overwrite=True)
    check("new/folder/out.jsonl")
    assert not (here / "new").exists()


def test_a_folder_that_is_closed_is_refused(here, monkeypatch):
    def access(path, mode):
        # As the system says to others than root, who may write everywhere.
        return mode != os.W_OK or bool(os.stat(path).st_mode & 0o200)

    monkeypatch.setattr(os, "access", access)
    check("new.jsonl")
    here.chmod(0o500)
    try:
        with pytest.raises(ValueError, match="Nothing can be written"):
            check("new.jsonl")
        with pytest.raises(ValueError, match="Nothing can be written"):
            check("new/folder/out.jsonl")
    finally:
        here.chmod(0o700)
