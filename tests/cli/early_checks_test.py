"""What is wrong at a first look is found at a first look."""

import json
import os
import re
import subprocess
import sys

import pytest
from shells import environment

from keras_irl.__main__ import main
from keras_irl.cli import early_checks

ROW = '{"prompt": "a", "response": "b"}\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text(ROW)
    (tmp_path / "p.keras").write_text("no policy")
    (tmp_path / "empty").mkdir()
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "devset.csv").write_text("mr,ref\n")
    return tmp_path


WRONG = [
    ("compare --task sums", "The tasks are .*Received: name='sums'"),
    ("doctor --task sums", "The tasks are .*Received: name='sums'"),
    ("evaluate --task sums --policy p.keras", "Received: name='sums'"),
    ("rewards --task sums --policy p.keras", "Received: name='sums'"),
    ("compare --task jsonl", "`--path`.*Received: path=None"),
    ("doctor --task jsonl", "`--path`.*Received: path=None"),
    ("evaluate --task jsonl --policy p.keras", "Received: path=None"),
    ("rewards --task jsonl --policy p.keras", "Received: path=None"),
    ("rewards --policy p.keras", "Received: task=None, path=None"),
    ("rewards --policy p.keras --path no", "no such file.*path='no'"),
    ("rewards --policy p.keras --path empty", "a folder.*path='empty'"),
    ("compare --task jsonl --path no", "no such file.*path='no'"),
    ("compare --task jsonl --path empty", "path='empty/train.jsonl'"),
    ("compare --task gsm8k --path no", "from a folder with.*path='no'"),
    ("compare --task gsm8k --path empty", "path='empty/train.jsonl'"),
    ("doctor --task e2e --path empty", "path='empty/devset.csv'"),
    ("compare --task e2e --path tables", "path='tables/testset.csv'"),
    ("compare --task arithmetic --path no", "leave `--path` out.*'no'"),
    ("evaluate --task arithmetic --policy no", "found nothing.*path='no'"),
    ("evaluate --task arithmetic --policy =no", "NAME=PATH"),
    (
        "evaluate --task arithmetic --policy a=p.keras --policy a=./p.keras",
        "same policy twice",
    ),
    (
        "evaluate --task arithmetic --policy p.keras --split dev",
        "has the splits train, test. Received: split='dev'",
    ),
    (
        "rewards --task arithmetic --policy p.keras --control ./p.keras",
        "control is the policy itself.*control='./p.keras'",
    ),
    ("rewards --path rows.jsonl --policy no", "found nothing.*path='no'"),
    (
        "rewards --path rows.jsonl --policy p.keras --control no",
        "found nothing.*path='no'",
    ),
]
OUTPUTS = [
    ("", "is empty.*output=''"),
    (" ", "is empty.*output=' '"),
    ("/", "of its own.*output='/'"),
    ("~", "of its own"),
    ("rows.jsonl", "a file has its name.*output='rows.jsonl'"),
    ("rows.jsonl/below", "a file has its name"),
    ("x" * 300, "File name too long.*output='xxx"),
    ("a/" * 3000, "File name too long"),
]


def error_of(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("keras-irl: error: ") and error.count("\n") == 1
    assert "Received: " in error and len(error) < 1000
    return error


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_flag_or_file_is_refused(
    folder, capsys, monkeypatch, arguments, message
):
    monkeypatch.setattr("importlib.import_module", refuse_to_import)
    assert re.search(message, error_of(arguments.split(), capsys))
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        ("doctor --task jsonl --path", "--path"),
        ("compare --task jsonl --path", "--path"),
        ("evaluate --policy p.keras --path", "--path"),
        ("rewards --policy p.keras --path", "--path"),
        ("rewards --path rows.jsonl --policy", "--policy"),
        ("rewards --path rows.jsonl --policy p.keras --control", "--control"),
        ("evaluate --task arithmetic --policy", "--policy"),
        ("generate --policy p.keras --prompts", "--prompts"),
        ("generate --prompts rows.jsonl --policy p.keras --output", "--output"),
        ("compare --task arithmetic --config", "--config"),
    ],
)
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_path_is_not_the_current_folder(
    folder, capsys, arguments, flag, empty
):
    for name in ("train.jsonl", "test.jsonl"):
        (folder / name).write_text(ROW)
    with pytest.raises(SystemExit) as exit:
        main([*arguments.split(), empty])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert f"argument {flag}: " in error and "empty" in error
    assert f"Received: {'config=' if flag == '--config' else ''}'" in error


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ("doctor --task jsonl --path", "path"),
        ("rewards --policy p.keras --path", "path"),
        ("generate --policy p.keras --prompts", "prompts"),
    ],
)
def test_what_is_no_file_is_called_what_it_is(
    folder, capsys, arguments, argument
):
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("gone")
    (folder / "loop").symlink_to("loop")
    for path, found in {
        "pipe": "a pipe, which can be read only once. Write what comes out",
        "/dev/null": "a device",
        "dangling": "a link to nothing, 'gone'",
        "loop": "a link that leads back to itself",
        "http://a.b/c.jsonl": "an address. Download what is there first",
        "no": "no such file",
        "x" * 300: "nothing that can be read (File name too long)",
    }.items():
        error = error_of([*arguments.split(), path], capsys)
        assert f"Expected a text file, found {found}" in error
        assert f"Received: {argument}={path!r}"[:200] in error


def test_what_is_no_policy_is_called_what_it_is(folder, capsys):
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("gone")
    for path, found in {
        "pipe": "a pipe, which",
        "dangling": "a link to nothing, 'gone'",
    }.items():
        arguments = ["evaluate", "--task", "arithmetic", "--policy", path]
        assert f"and found {found}" in error_of(arguments, capsys)


def refuse_to_import(name):
    raise AssertionError(f"{name} is imported.")


COMMANDS = [
    "compare --task arithmetic",
    "evaluate --task arithmetic --policy p.keras",
    "rewards --path rows.jsonl --policy p.keras",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("output", "message"), OUTPUTS)
def test_an_output_that_is_no_folder_is_refused(
    folder, capsys, monkeypatch, command, output, message
):
    monkeypatch.setattr("importlib.import_module", refuse_to_import)
    before = sorted(os.listdir(folder))
    output = os.path.expanduser(output)
    arguments = [*command.split(), "--output", output, "--overwrite"]
    assert re.search(message, error_of(arguments, capsys))
    assert sorted(os.listdir(folder)) == before


def test_names_that_are_not_utf_8_are_refused(folder, capsys):
    name = os.fsdecode(b"caf\xe9")
    for arguments in (
        ["evaluate", "--task", "arithmetic", "--policy", f"{name}=p.keras"],
        ["rewards", "--path", name, "--policy", "p.keras"],
        ["rewards", "--path", "rows.jsonl", "--policy", name],
        ["compare", "--task", "arithmetic", "--output", name],
        ["compare", "--task", name],
    ):
        error = error_of(arguments, capsys)
        assert re.search(r"not UTF-8.*Received: \w+=b'caf\\xe9", error)
    assert "runs" not in os.listdir(folder)


def test_files_of_other_names_are_left_to_who_reads_them(folder):
    """What is packed or has other columns is not known here."""
    (folder / "empty" / "train.jsonl.gz").write_bytes(b"")
    for split in ("train", "test"):
        early_checks._check_files("jsonl", split, folder / "empty")
    early_checks._check_files("e2e", "train", folder / "tables")
    early_checks._check_files("jsonl", "test", folder / "rows.jsonl")


def test_a_wrong_path_costs_no_heavy_import(tmp_path):
    """The process has imported little, and took little time."""
    code = """
import json, sys, time
from keras_irl.__main__ import main
codes = [main(arguments) for arguments in json.loads(sys.argv[1])]
heavy = {"keras", "keras_hub", "jax", "torch", "tensorflow", "matplotlib"}
print(json.dumps([codes, sorted(heavy & sys.modules.keys())]))
print(time.process_time())
"""
    commands = [text.split() for text, _ in WRONG if "p.keras" not in text]
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
    )
    found, seconds = done.stdout.splitlines()
    assert json.loads(found) == [[2] * len(commands), []], done.stderr
    assert float(seconds) < 3.0
