"""What a command wrote, and what somebody else did."""

import json
import os
import re

import pytest

from keras_irl.cli.output_folder import Manifest
from keras_irl.cli.output_folder import read_object


@pytest.fixture
def manifest(tmp_path):
    manifest = Manifest(tmp_path, "settings.json", "a comparison")
    manifest.replace({"steps": 3})
    return manifest


def write(manifest, *names, known=True):
    paths = [manifest.folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    if known:
        manifest.add(*paths)
    return paths


def left(folder):
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    )


def test_only_what_is_listed_is_deleted(manifest, tmp_path):
    write(manifest, "runs/mle-0.json", "checkpoints/mle-0/progress.json")
    write(
        manifest, "runs/mine.txt", "checkpoints/best.pt", "x.json", known=False
    )
    write(manifest, "report.md")
    again = Manifest(tmp_path, "settings.json", "a comparison")
    again.delete("runs", "checkpoints")
    assert left(tmp_path) == [
        *("checkpoints/best.pt", "report.md", "runs/mine.txt"),
        *("settings.json", "x.json"),
    ]
    # The folders of ours are gone with what was in them.
    assert not (tmp_path / "checkpoints" / "mle-0").exists()
    assert again.written == {"report.md"}


def test_a_file_is_listed_before_it_is_there(manifest, tmp_path):
    manifest.add(tmp_path / "runs" / "mle-0.json")
    listed = json.loads((tmp_path / "settings.json").read_text())
    assert listed == {"steps": 3, "written": ["runs/mle-0.json"]}


def test_links_are_not_followed(manifest, tmp_path):
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mle-0.json").write_text("mine")
    (path,) = write(manifest, "policies/mle-0.json")
    path.unlink()
    path.symlink_to(elsewhere / "mle-0.json")
    manifest.add(tmp_path / "runs" / "mle-0.json")
    manifest.delete("policies")
    assert path.is_symlink()
    (tmp_path / "runs").symlink_to(elsewhere)
    with pytest.raises(ValueError, match="is a link to another place"):
        manifest.delete("runs")
    assert (elsewhere / "mle-0.json").read_text() == "mine"


def test_what_is_in_the_way_is_named(manifest):
    known, *foreign = write(manifest, "runs/a-0.json") + write(
        manifest, "runs/b-0.json", known=False
    )
    manifest.refuse_foreign(known, manifest.folder / "runs" / "none.json")
    with pytest.raises(ValueError, match="b-0.json' is in the way.*output="):
        manifest.refuse_foreign(known, *foreign)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"null", "holds no JSON object"),
        (b"[]", "holds no JSON object"),
        (b"", "is no JSON"),
        (b'{"steps": 1', "is no JSON"),
        ('{"steps": 1}'.encode("utf-16"), "is not UTF-8"),
        (b'{"name": "\\ud800"}', "is not UTF-8"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"steps": ' + b"1" * 5_000 + b"}", "is no JSON"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content, reason):
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    message = f"settings.json' is damaged: it {reason}.*Begin anew. Received: f"
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        read_object(path, "Begin anew.")
    with pytest.raises(ValueError, match="Put it back, or pass another `--out"):
        Manifest(tmp_path, "settings.json", "a comparison")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(ValueError, match="damaged: it is not a file"):
        Manifest(tmp_path, "settings.json", "a comparison")


@pytest.mark.parametrize(
    "written", [None, "runs", [1], ["../x"], ["/etc/x"], [""], {"a": 1}]
)
def test_a_list_leads_nowhere_else(tmp_path, written):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"written": written}))
    if written is None:
        assert not Manifest(tmp_path, "settings.json", "").is_listed
        return
    with pytest.raises(ValueError, match="'written' lists no files"):
        Manifest(tmp_path, "settings.json", "a comparison")
    assert os.listdir(tmp_path) == ["settings.json"]


def test_a_folder_is_ours_with_all_that_is_in_it(tmp_path):
    manifest = Manifest(tmp_path, "settings.json", "a comparison")
    ours = tmp_path / "checkpoints" / "mle-0" / "steps"
    for path in (ours / "2", ours.with_name("mine")):
        path.mkdir(parents=True)
        (path / "_CHECKPOINT_METADATA").write_text("")
    with pytest.raises(ValueError, match="steps' is in the way"):
        manifest.refuse_foreign(ours)
    manifest.add_folder(ours)
    again = Manifest(tmp_path, "settings.json", "a comparison")
    again.refuse_foreign(ours)
    again.forget(ours.with_name("mine"))
    assert again.knows(ours) and not again.knows(ours.with_name("mine"))
    # A link leads to somebody else's.
    ours.rename(tmp_path / "elsewhere")
    ours.symlink_to(tmp_path / "elsewhere")
    again.forget(ours)
    again.delete("checkpoints")
    assert (tmp_path / "elsewhere" / "2" / "_CHECKPOINT_METADATA").exists()
    ours.unlink()
    (tmp_path / "elsewhere").rename(ours)
    Manifest(tmp_path, "settings.json", "a comparison").delete("checkpoints")
    assert not ours.exists() and ours.with_name("mine").exists()
