import json
import os

import pytest

from keras_irl.cli.response_file import COLUMNS
from keras_irl.cli.response_file import check_response_file


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


@pytest.mark.skipif(os.geteuid() == 0, reason="Root may write everywhere.")
def test_a_folder_that_is_closed_is_refused(here):
    here.chmod(0o500)
    try:
        with pytest.raises(ValueError, match="Nothing can be written"):
            check("new.jsonl")
    finally:
        here.chmod(0o700)
