"""Folders that can't be written to are found out early."""

import os

import pytest

from keras_irl.data import load_task
from keras_irl.folders import check_folder


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("", "is empty. Received: output=''"),
        ("  ", "is empty"),
        ("x" * 300, "can't be the name of a folder: File name too long"),
    ],
)
def test_what_names_no_folder_is_refused(folder, message):
    with pytest.raises(ValueError, match=message):
        check_folder(folder)


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    asked = []

    def refuse(path, mode):
        asked.append((str(path), mode))
        return False

    # Whoever is root may write anywhere.
    monkeypatch.setattr(os, "access", refuse)
    with pytest.raises(ValueError, match="no permission.*output='.*new/one'"):
        check_folder(tmp_path / "new" / "one")
    assert asked == [(str(tmp_path), os.W_OK | os.X_OK)]


def test_what_need_not_exist_is_checked_where_it_will_be(tmp_path):
    check_folder(tmp_path / "new" / "one", ["a"])
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="a file has its name"):
        check_folder(tmp_path / "file" / "below")


@pytest.mark.parametrize("wrong", (3, ["a"], b"a", {}, "a\0b", True), ids=repr)
def test_what_is_no_path_is_refused(wrong):
    with pytest.raises(ValueError, match="`output` must be a path.*Received: "):
        check_folder(wrong)
    for name in ("gsm8k", "e2e", "xsum", "scitldr", "wmt22", "jsonl"):
        with pytest.raises(ValueError, match="must be a path.*Received: path="):
            load_task(name, path=wrong)


@pytest.mark.parametrize("wrong", (3, None, ["arithmetic"], {}), ids=repr)
def test_a_task_and_its_split_are_named(wrong):
    with pytest.raises(ValueError, match="The tasks are.*Received: name="):
        load_task(wrong)
    with pytest.raises(ValueError, match="has the splits.*Received: split="):
        load_task("arithmetic", wrong)
