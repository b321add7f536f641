import json
import shutil
import warnings

import pytest

from keras_irl.callbacks.file_digests import FileDigests


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints of one file each, as long as each other."""
    for step, content in ((1, b"abcdef"), (2, b"abcxyz")):
        (tmp_path / f"{step}" / "below").mkdir(parents=True)
        (tmp_path / f"{step}" / "below" / "array").write_bytes(content)
    return tmp_path


def noted(folder, *steps):
    files = FileDigests(folder)
    files.open()
    files.note([*steps], {*steps})
    files.finish()


def damage(folder, step):
    files = FileDigests(folder)
    files.open()
    return files.damage(step)


def test_what_is_as_it_was_is_not_damaged(folder):
    noted(folder, 1, 2)
    assert damage(folder, 1) is damage(folder, 2) is None


def test_what_somebody_else_has_left_may_be_damaged_already(folder):
    files = FileDigests(folder)
    files.note([1, 2], {2})
    files.finish()
    assert json.loads((folder / "sizes.json").read_text()).keys() == {"2"}
    assert damage(folder, 1) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"abcdeg"), "not what was written"),
        (lambda path: path.write_bytes(b"abcdef!"), "not as long"),
        (lambda path: path.write_bytes(b"abc"), "not as long"),
        (lambda path: path.unlink(), "missing"),
        (
            lambda path: shutil.copy(path.parents[2] / "2/below/array", path),
            "not what was written",
        ),
    ],
    ids=["a byte", "one more", "cut", "missing", "of another"],
)
def test_what_was_changed_is_named(change, words, folder):
    noted(folder, 1, 2)
    path = folder / "1" / "below" / "array"
    change(path)
    message = damage(folder, 1)
    assert words in message and repr(str(path)) in message
    assert damage(folder, 2) is None


def test_what_is_known_is_not_read_again_and_what_is_gone_is_forgotten(folder):
    noted(folder, 1)
    (folder / "1" / "below" / "array").write_bytes(b"xxxxxx")
    noted(folder, 1, 2)
    assert "not what was written" in damage(folder, 1)
    shutil.rmtree(folder / "1")
    noted(folder, 2)
    assert json.loads((folder / "sizes.json").read_text()).keys() == {"2"}
    # A newer one may be whole before this one is read.
    noted(folder, 2, 9)
    assert json.loads((folder / "sizes.json").read_text()).keys() == {"2"}


@pytest.mark.parametrize("content", ["", "[1]", '{"1": 3}', '{"1": {"a": 6}}'])
def test_notes_that_nobody_can_read_are_told_and_begun_anew(content, folder):
    (folder / "sizes.json").write_text(content)
    files = FileDigests(folder)
    with pytest.warns(UserWarning, match=r"sizes.json.*Received: \w+Error"):
        files.open()
    assert files.damage(1) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        files.open()


def test_what_could_not_be_written_is_told_by_the_next(folder):
    files = FileDigests(folder)
    (folder / "sizes.json").mkdir()
    files.note([1], {1})
    with pytest.raises(ValueError, match="sizes.json"):
        files.finish()
    files.finish()
