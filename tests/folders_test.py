"""Folders that can't be written to are found out early."""

import os

import pytest

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
