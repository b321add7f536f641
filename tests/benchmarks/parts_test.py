"""Folders in parts, which travel one by one."""

import os

import parts
import pytest


def folder_of(path):
    (path / "inner").mkdir(parents=True)
    # What can't be compressed is as large as it was.
    (path / "weights").write_bytes(os.urandom((5 << 20) // 2))
    (path / "inner" / "config.json").write_text("{}")
    return path


def test_what_was_split_is_joined_again(tmp_path, capsys):
    folder = folder_of(tmp_path / "folder")
    places = str(tmp_path / "parts"), str(tmp_path / "again")
    parts.main(["split", str(folder), places[0], "--mebibytes", "1"])
    assert "3 parts of at most 1 MiB" in capsys.readouterr().out
    sizes = [p.stat().st_size for p in sorted((tmp_path / "parts").iterdir())]
    assert sizes[1:3] == [1 << 20] * 2 and 0 < sizes[3] < 1 << 20
    parts.main(["join", *places])
    again = tmp_path / "again"
    for name in ("weights", "inner/config.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    with pytest.raises(SystemExit, match="Not empty"):
        parts.main(["split", str(folder), places[0]])


@pytest.mark.parametrize("number", [0, 2])
def test_a_part_that_is_missing_or_damaged_is_named(tmp_path, number):
    folder, place = folder_of(tmp_path / "folder"), tmp_path / "parts"
    parts.split(folder, place, 1)
    path = place / f"part-00{number}"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(SystemExit, match=f"Not what was split: {path.name}"):
        parts.join(place, tmp_path / "again")
    path.unlink()
    with pytest.raises(SystemExit, match=f"Not there yet: {path.name}"):
        parts.join(place, tmp_path / "again")
    assert not (tmp_path / "again").exists()
