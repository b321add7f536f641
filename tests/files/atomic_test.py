"""A result is there as a whole, or what was there before is."""

import os
import resource

import pytest

from keras_irl.files.atomic import atomic_folder
from keras_irl.files.atomic import atomic_save
from keras_irl.files.atomic import atomic_write
from keras_irl.files.atomic import check_folder
from keras_irl.files.atomic import part_beside


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


@pytest.mark.parametrize("name", ["b", "old"])
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
    assert error.value.filename == str(tmp_path / "b")
    assert error.value.strerror == "File too large"
    assert contents(tmp_path) == {"a": "1", "b": "2"}


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "a").symlink_to(tmp_path / "mine")
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


def test_no_file_of_somebody_else_is_used_on_the_way(tmp_path, monkeypatch):
    mine = {".a.part": "1", ".keras-irl-x.part": "2", "a.part": "3"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    atomic_write({"a": "4"}, tmp_path)
    assert contents(tmp_path) == mine | {"a": "4"}
    monkeypatch.setattr(os, "replace", None)
    with pytest.raises(TypeError):
        atomic_write({"a": "5"}, tmp_path)
    assert contents(tmp_path) == mine | {"a": "4"}


def test_what_a_killed_process_left_is_removed_in_time(tmp_path):
    old, new = part_beside(tmp_path / "a"), part_beside(tmp_path / "a")
    mine = tmp_path / ".keras-irl-mine.part"
    for path in (old, new, mine):
        path.write_text("half")
    for path in (old, mine):
        os.utime(path, (0, 0))
    atomic_write({"a": "1"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("a", new.name, mine.name)
    }


def test_a_file_may_be_read_by_whom_others_are(tmp_path):
    (tmp_path / "mine").write_text("1")
    atomic_write({"a": "1"}, tmp_path)
    modes = {(tmp_path / name).stat().st_mode for name in ("a", "mine")}
    assert len(modes) == 1


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
    with pytest.warns(DeprecationWarning, match="keras_irl.files.atomic"):
        from keras_irl.reporting.atomic_files import atomic_write as old
    assert old is atomic_write
