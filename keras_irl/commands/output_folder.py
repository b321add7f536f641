"""What each command writes into its output folder, and whose a folder is."""

import pathlib

from keras_irl.evaluation.report import REPORT_FILES
from keras_irl.evaluation.whole_files import check_folder
from keras_irl.evaluation.whole_files import write_whole

_FILES = {
    "compare": (*REPORT_FILES, "metrics.json"),
    "evaluate": (*REPORT_FILES, "results.json"),
    "rewards": ("heat_map.html", "heat_map.png", "report.md", "rewards.json"),
}
# By which file a folder is known, and what it holds then.
_MARKS = {
    "compare": ("settings.json", "a comparison"),
    "evaluate": ("evaluation.json", "an evaluation"),
    "rewards": ("rewards.json", "rewards that were read"),
}


def check_output(job, folder):
    """Finds out before the work that its results can't be written.

    Args:
        job: Name of the command.
        folder: Where its results go; it need not exist.

    Raises:
        ValueError: If the folder is a file, or holds what another command or
            somebody else wrote and would be replaced.
    """
    mark, _ = _MARKS[job]
    check_folder(folder, (mark, *_FILES[job]))
    there = {path.name for path in pathlib.Path(folder).glob("*")}
    for other, (name, what) in _MARKS.items():
        if other != job and name in there:
            raise ValueError(
                f"The output folder holds {what}, whose report would be "
                "replaced. Pass another `--output`. "
                f"Received: output={str(folder)!r}"
            )
    foreign = sorted(there.intersection(_FILES[job]))
    if mark not in there and foreign:
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
    mark, what = _MARKS["rewards"]
    if not overwrite and (pathlib.Path(folder) / mark).exists():
        raise ValueError(
            f"The output folder holds {what} before. Pass another `--output`, "
            "or `--overwrite` to replace them. "
            f"Received: output={str(folder)!r}"
        )


def write_output(job, files, folder):
    """Writes what a command found, in the place of what it found before.

    Args:
        job: Name of the command.
        files: Dictionary from names to strings or bytes.
        folder: Where to write.
    """
    paths = write_whole(files, folder, _FILES[job])
    print("Written:", *paths, sep="\n  ")
