"""Ownership of an output folder: which command wrote it."""

import pathlib

from keras_irl.cli.kept_files import Mark
from keras_irl.reporting.atomic_files import atomic_write
from keras_irl.reporting.atomic_files import check_folder
from keras_irl.reporting.report import REPORT_FILES

FILES = {
    "compare": (*REPORT_FILES, "metrics.json"),
    "evaluate": (*REPORT_FILES, "results.json"),
    "rewards": ("heat_map.html", "heat_map.png", "report.md", "rewards.json"),
}
# By which file a folder is known, and what it holds then.
MARKS = {
    "compare": ("settings.json", "a comparison"),
    "evaluate": ("evaluation.json", "an evaluation"),
    "rewards": ("rewards.json", "rewards that were read"),
}
# What rewards had in their file before it listed what else was written.
_REWARDS = {"policy", "control", "correlations", "best_of_n", "texts"}


def check_output(job, folder):
    """Finds out before the work that its results can't be written.

    Args:
        job: Name of the command.
        folder: Where its results go; it need not exist.

    Raises:
        ValueError: If the folder is a file, can't be written to, or holds what
            another command or somebody else wrote and would be replaced, or a
            damaged file.
    """
    name, _ = MARKS[job]
    check_folder(folder, (name, *FILES[job]))
    there = {path.name for path in pathlib.Path(folder).glob("*")}
    for other, (other_name, what) in MARKS.items():
        # A name as common as that of settings may be anybody's.
        if other != job and other_name in there:
            raise ValueError(
                f"The output folder holds {what}, whose report would be "
                "replaced. Pass another `--output`. "
                f"Received: output={str(folder)!r}"
            )
    mark = _mark(job, folder)
    foreign = sorted(
        name
        for name in there.intersection(FILES[job])
        if not mark.knows(mark.folder / name)
    )
    if foreign:
        raise ValueError(
            f"The output folder holds {', '.join(foreign)}, which `{job}` did "
            "not write and would replace. Pass another `--output`. "
            f"Received: output={str(folder)!r}"
        )


def check_unread(folder, overwrite):
    """Checks that no rewards are replaced unasked.

    Args:
        folder: The output folder of `rewards`.
        overwrite: Whether the user asked for it.

    Raises:
        ValueError: If the folder holds some, unless they may be replaced.
    """
    name, what = MARKS["rewards"]
    mark = Mark(folder, name, what)
    if mark.content is None:
        return
    if not overwrite:
        raise ValueError(
            f"The output folder holds {what} before. Pass another `--output`, "
            "or `--overwrite` to replace them. "
            f"Received: output={str(folder)!r}"
        )
    if not mark.is_listed and not mark.content.keys() >= _REWARDS:
        raise foreign_mark(mark)


def foreign_mark(mark):
    """Says that the file by which a folder is known is not ours.

    Args:
        mark: A `Mark`.

    Returns:
        A `ValueError`.
    """
    return ValueError(
        f"The output folder holds a file {mark.path.name!r} that keras-irl "
        "did not write, and would replace. Pass another `--output`. "
        f"Received: output={str(mark.folder)!r}"
    )


def write_output(job, files, folder, shown=""):
    """Writes what a command found, in the place of what it found before.

    It is shown only once it is written: a terminal may fail.

    Args:
        job: Name of the command.
        files: Dictionary from names to strings or bytes.
        folder: Where to write.
        shown: What to print, a string. Defaults to nothing.
    """
    mark = _mark(job, folder)
    own = [name for name in FILES[job] if mark.knows(mark.folder / name)]
    if mark.path.name not in files:
        mark.add(*(mark.folder / name for name in files))
    paths = atomic_write(files, folder, own)
    if shown:
        print(shown)
    print("Written:", *paths, sep="\n  ")


def _mark(job, folder):
    """The mark of a folder, which knows its report if it has none."""
    mark = Mark(folder, *MARKS[job])
    if mark.content is not None and not mark.is_listed:
        mark.adopt(mark.folder / name for name in FILES[job])
    return mark
