"""A result is there as a whole, or what was there before is."""

import os
import resource

import pytest

from keras_irl.atomic_files import atomic_folder
from keras_irl.atomic_files import atomic_save
from keras_irl.atomic_files import atomic_write
from keras_irl.atomic_files import check_folder


def contents(folder):
    return {
        path.name: path.read_text() if path.is_file() else None
        for path in folder.iterdir()
    }


def test_what_an_earlier_result_had_besides_is_removed(tmp_path):
    atomic_write({"a": "1", "b": b"2"}, tmp_path)
    (tmp_path / "mine").write_text("3")
    paths = atomic_write({"a": "4"}, tmp_path, others=("a", "b", "c"))
    assert paths == [tmp_path / "a"]
    assert contents(tmp_path) == {"a": "4", "mine": "3"}


@pytest.mark.parametrize("name", ["b", ".b.part", "old"])
def test_a_folder_in_the_place_of_a_file_leaves_all_as_it_was(tmp_path, name):
    (tmp_path / "a").write_text("before")
    (tmp_path / name).mkdir()
    message = f"a folder has its name.*another `output`. Received: .*{tmp_path}"
    with pytest.raises(ValueError, match=message):
        atomic_write({"a": "1", "b": "2"}, tmp_path, others=["old"])
    assert contents(tmp_path) == {"a": "before", name: None}
    with pytest.raises(ValueError, match="a folder has its name"):
        check_folder(tmp_path, ["a", name])


def test_nothing_is_removed_unless_all_is_written(tmp_path, monkeypatch):
    atomic_write({"a": "1", "b": "2"}, tmp_path)

    def refuse(*paths):
        raise OSError("Input/output error")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Input"):
        atomic_write({"a": "3"}, tmp_path, others=["b"])
    assert contents(tmp_path) == {"a": "1", "b": "2"}


def test_a_full_disk_names_the_file_and_leaves_all_as_it_was(tmp_path):
    atomic_write({"a": "1", "b": "2"}, tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(OSError) as error:
            atomic_write({"a": "3", "b": "4" * 2_000}, tmp_path, others=["b"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert error.value.filename == str(tmp_path / ".b.part")
    assert error.value.strerror == "File too large"
    assert contents(tmp_path) == {"a": "1", "b": "2"}


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".a.part").symlink_to(tmp_path / "mine")
    atomic_write({"a": "1"}, tmp_path)
    assert contents(tmp_path) == {"a": "1", "mine": "mine"}


def test_what_is_no_character_is_replaced(tmp_path):
    atomic_write({"a": "1 \ud800 ±"}, tmp_path)
    assert (tmp_path / "a").read_bytes() == "1 ? ±".encode()


def test_what_a_library_writes_is_there_as_a_whole_or_not_at_all(tmp_path):
    path, part = tmp_path / "policy.keras", tmp_path / "partial-policy.keras"
    path.write_text("old")

    def fail(place):
        place.write_text("half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        atomic_save(fail, path, part)
    assert path.read_text() == "old" and not part.exists()
    atomic_save(lambda place: place.write_text("new"), path, part)
    assert path.read_text() == "new" and not part.exists()


def test_a_folder_is_there_with_all_its_files_or_not_at_all(tmp_path):
    folder = tmp_path / "made" / "exported"
    with pytest.raises(KeyError):
        with atomic_folder(folder) as part:
            (part / "a").write_text("1")
            raise KeyError
    assert list(folder.parent.iterdir()) == []
    with atomic_folder(folder) as part:
        (part / "a").write_text("1")
        assert not folder.exists()
    assert list(folder.parent.iterdir()) == [folder]
    assert contents(folder) == {"a": "1"}


def test_the_old_name_warns_and_is_the_same():
    with pytest.warns(DeprecationWarning, match="keras_irl.atomic_files"):
        from keras_irl.reporting.atomic_files import atomic_write as old
    assert old is atomic_write
