"""Folders that can't be written to are found out early."""

import os

import pytest

from keras_irl.data import load_task
from keras_irl.files.paths import check_folder
from keras_irl.files.paths import check_text_file
from keras_irl.files.paths import found_instead


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


@pytest.mark.parametrize("name", ["jsonl", "gsm8k", "e2e", "xsum", "wmt22"])
def test_an_empty_path_is_not_the_current_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text('{"prompt": "a", "response": "b"}\n')
    for empty in ("", " "):
        with pytest.raises(ValueError, match="is empty. Received: path='"):
            load_task(name, path=empty)


def test_what_is_found_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    for name, found in {
        "file": None,
        "link": None,
        ".": "a folder",
        "gone": "no such file",
        "file/below": "no such file",
        "dangling": "a link to nothing, 'gone'",
        "loop": "a link that leads back to itself",
        "pipe": "a pipe, which can be read only once. Write what comes out of "
        "it to a file first",
        "x" * 300: "nothing that can be read (File name too long)",
    }.items():
        assert found_instead(tmp_path / name) == found
    assert found_instead("/dev/null") == "a device"
    with pytest.raises(ValueError, match="an address.*path='https://a.b/c'"):
        check_text_file("https://a.b/c")
    with pytest.raises(ValueError, match="a pipe.*path="):
        load_task("jsonl", path=tmp_path / "pipe")
    with pytest.raises(ValueError, match="an address.*path='https://a.b/c'"):
        load_task("jsonl", path="https://a.b/c")
