import gzip
import json

import pytest

from keras_irl.__main__ import main


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "texts.jsonl"
    rows = [
        {"prompt": f"{i}+", "response": f"{i}\033\n and so on"}
        for i in range(9)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def doctor(path, *arguments):
    return main(
        [
            *"doctor --task jsonl --preset gpt2-scratch-tiny".split(),
            *("--path", str(path), "--batch-size", "2", *arguments),
        ]
    )


def test_conversations_are_read_from_the_command_line(tmp_path, capsys):
    path = tmp_path / "chats.jsonl"
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"{i} + 1?"},
                {"role": "assistant", "content": f"it is {i + 1}"},
            ]
        }
        for i in range(9)
    ]
    lines = "\n".join(map(json.dumps, rows))
    path.write_bytes(gzip.compress(lines.encode()))
    assert doctor(path) == 0
    printed = capsys.readouterr().out
    # Line breaks are shown as such, and the answer alone is trained.
    assert "Assistant:\\n[it is " in printed


def test_shows_texts_that_do_not_steer_the_terminal(path, capsys):
    assert doctor(path) == 0
    printed = capsys.readouterr().out
    assert r"1+[1\x1b\n and so on<|endoftext|>]" in printed
    assert "Nothing is wrong" in printed


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_exits_with_1_where_training_would_be_wrong(path, capsys):
    assert doctor(path, "--max-length", "6") == 1
    assert "ERROR (no-end-token)" in capsys.readouterr().out


def test_a_test_that_is_trained_on_is_told_of(path):
    folder = path.parent / "both"
    folder.mkdir()
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").write_bytes(path.read_bytes())
    with pytest.warns(UserWarning, match="9 of 9 test pairs are among the"):
        assert doctor(folder) == 0


def test_exits_with_2_and_one_line_where_the_input_is_wrong(path, capsys):
    assert doctor(path.with_name("missing")) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_every_flag_has_a_help_line(capsys):
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    text = capsys.readouterr().out
    for flag in ("--task", "--path", "--preset", "--batch-size", "--backend"):
        assert flag in text
