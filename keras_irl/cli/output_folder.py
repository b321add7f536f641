"""The output folder of a command: its owner and its files."""

import json
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from keras_irl.cli.config import CONFIG
from keras_irl.files.atomic import atomic_write
from keras_irl.files.paths import check_folder
from keras_irl.reporting.report import REPORT_FILES
from keras_irl.types import Path

FILES = {
    "compare": (*REPORT_FILES, "heat_map.png", "metrics.json", CONFIG),
    "evaluate": (*REPORT_FILES, "results.json", CONFIG),
    "rewards": (
        *("heat_map.html", "heat_map.png", "report.md", "rewards.json"),
        CONFIG,
    ),
}
# By which file a folder is known, and what it holds then.
MANIFESTS = {
    "compare": ("settings.json", "a comparison"),
    "evaluate": ("evaluation.json", "an evaluation"),
    "rewards": ("rewards.json", "rewards that were read"),
}
# What rewards had in their file before it listed what else was written.
_REWARDS = {"policy", "control", "correlations", "best_of_n", "texts"}
# What lies in a folder of checkpoints, by its path there: notes, and what Orbax
# writes, finished or not.
_UNFINISHED = r"(\.orbax-checkpoint-tmp[^/]*)?"
_OF_ORBAX = (
    r"_METADATA|metadata|_sharding|array_metadatas/process_[0-9]+|"
    r"(ocdbt\.process_[0-9]+/)?(manifest\.ocdbt[^/]*|d/[0-9a-f]{16,}[^/]*)"
)
_OF_CHECKPOINTS = re.compile(
    r"sizes\.json|\.keras-irl-[0-9a-f]{16}\.part|"
    rf"[0-9]+{_UNFINISHED}/(_CHECKPOINT_METADATA|commit_success\.txt|"
    rf"(arrays|about){_UNFINISHED}/({_OF_ORBAX}|commit_success\.txt))"
)
# What the list of our files is called in the file that has it.
WRITTEN = "written"


def check_output(job: str, folder: Path) -> None:
    """Finds out before the work that its results can't be written.

    Args:
        job: Name of the command.
        folder: Where its results go; it need not exist.

    Raises:
        ValueError: If the folder is a file, can't be written to, or holds what
            another command or somebody else wrote and would be replaced, or a
            damaged file.
    """
    name, _ = MANIFESTS[job]
    check_folder(folder, (name, *FILES[job]))
    there = {path.name for path in pathlib.Path(folder).glob("*")}
    for other, (other_name, what) in MANIFESTS.items():
        # A name as common as that of settings may be anybody's.
        if other != job and other_name in there:
            raise ValueError(
                f"The output folder holds {what}, whose report would be "
                "replaced. Pass another `--output`. "
                f"Received: output={str(folder)!r}"
            )
    manifest = _manifest(job, folder)
    foreign = sorted(
        name
        for name in there.intersection(FILES[job])
        if not manifest.knows(manifest.folder / name)
    )
    if foreign:
        raise ValueError(
            f"The output folder holds {', '.join(foreign)}, which `{job}` did "
            "not write and would replace. Pass another `--output`. "
            f"Received: output={str(folder)!r}"
        )


def check_unread(folder: Path, overwrite: bool) -> None:
    """Checks that no rewards are replaced unasked.

    Args:
        folder: The output folder of `rewards`.
        overwrite: Whether the user asked for it.

    Raises:
        ValueError: If the folder holds some, unless they may be replaced.
    """
    name, what = MANIFESTS["rewards"]
    manifest = Manifest(folder, name, what)
    if manifest.content is None:
        return
    if not overwrite:
        raise ValueError(
            f"The output folder holds {what} before. Pass another `--output`, "
            "or `--overwrite` to replace them. "
            f"Received: output={str(folder)!r}"
        )
    if not manifest.is_listed and not manifest.content.keys() >= _REWARDS:
        raise foreign_manifest(manifest)


def foreign_manifest(manifest: "Manifest") -> ValueError:
    """Error of a folder with a manifest that keras-irl did not write.

    Args:
        manifest: A `Manifest`.

    Returns:
        A `ValueError`.
    """
    return ValueError(
        f"The output folder holds a file {manifest.path.name!r} that keras-irl "
        "did not write, and would replace. Pass another `--output`. "
        f"Received: output={str(manifest.folder)!r}"
    )


def write_output(
    job: str, files: dict[str, str | bytes], folder: Path, shown: str = ""
) -> None:
    """Writes what a command found, in the place of what it found before.

    It is shown only once it is written: a terminal may fail.

    Args:
        job: Name of the command.
        files: Dictionary from names to strings or bytes.
        folder: Where to write.
        shown: What to print, a string. Defaults to nothing.
    """
    manifest = _manifest(job, folder)
    own = [
        name for name in FILES[job] if manifest.knows(manifest.folder / name)
    ]
    if manifest.path.name not in files:
        manifest.add(*(manifest.folder / name for name in files))
    paths = atomic_write(files, folder, own)
    if shown:
        print(shown)
    print("Written:", *paths, sep="\n  ")


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Reads a JSON object that an earlier command kept.

    Args:
        path: Path of the file.
        remedy: What to do if it is damaged, a sentence.

    Returns:
        Dictionary.

    Raises:
        ValueError: If the file can't be read, or holds no such object.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise damaged(path, "it is not a file", remedy)
    try:
        value = json.loads(path.read_bytes().decode("utf-8"))
        # What no file can hold would be found out at the very end.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise damaged(path, "it is not UTF-8", remedy) from None
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"it is no JSON: {error}", remedy) from None
    if not isinstance(value, dict):
        raise damaged(path, "it holds no JSON object", remedy)
    return value


def damaged(path: Path, reason: str, remedy: str) -> ValueError:
    """Error of a kept file that is damaged.

    Args:
        path: Path of the file.
        reason: What is wrong with it.
        remedy: What to do, a sentence.

    Returns:
        A `ValueError`.
    """
    return ValueError(
        f"The file {str(path)!r} is damaged: {reason}. {remedy} "
        f"Received: file={str(path)!r}"
    )


class Manifest:
    """Manifest of an output folder: its settings, and the files that it owns.

    Whatever else lies in the folder is somebody's, and is neither replaced nor
    deleted. A file is listed before it is written: what an interrupted command
    left half written is known as well.

    Args:
        folder: Path of the output folder.
        name: Name of the file.
        what: What a folder with this file holds.

    Raises:
        ValueError: If there is such a file, and it is damaged.
    """

    def __init__(self, folder: Path, name: str, what: str) -> None:
        self.folder = pathlib.Path(folder)
        self.path = self.folder / name
        self.what = what
        self.content: dict[str, Any] | None = None
        self.written: set[str] = set()
        self.is_listed = False
        if self.path.exists() or self.path.is_symlink():
            self._read()

    def _read(self):
        remedy = (
            "Without it, nobody knows whose the files of this folder are. Put "
            "it back, or pass another `--output`."
        )
        content = read_object(self.path, remedy)
        written = content.pop(WRITTEN, None)
        if written is not None and not _are_inside(written):
            raise damaged(self.path, f"{WRITTEN!r} lists no files", remedy)
        self.content = content
        self.is_listed = written is not None
        self.written = set(written or ())

    def adopt(self, paths: Iterable[pathlib.Path]) -> None:
        """Lists files that were written before there was a list.

        Args:
            paths: Their paths.
        """
        self.written |= {self._relative(path) for path in paths}

    def replace(self, content: dict[str, Any]) -> None:
        """Writes other settings.

        Args:
            content: Dictionary of plain values.
        """
        self.content = content
        self._write()

    def add(self, *paths: pathlib.Path) -> None:
        """Lists files, before they are written.

        Args:
            *paths: Their paths, in the folder.
        """
        self._list({self._relative(path) for path in paths})

    def add_folder(self, path: Path) -> None:
        """Lists a folder of checkpoints as ours, with those that will be in it.

        Whatever else somebody puts there stays.

        Args:
            path: Its path, before there is anything.
        """
        self._list({self._relative(path) + "/"})

    def _list(self, names):
        if names - self.written:
            self.written |= names
            self._write()

    def knows(self, path: Path) -> bool:
        """Whether a file is listed, or a folder with all that is in it.

        Args:
            path: Its path, in the folder.
        """
        name = self._relative(path)
        return path == self.path or bool({name, name + "/"} & self.written)

    def refuse_foreign(self, *paths: pathlib.Path) -> None:
        """Checks that nothing of somebody else's would be replaced.

        Args:
            *paths: Paths of files that are read or written.

        Raises:
            ValueError: If one is there and not listed.
        """
        for path in paths:
            is_there = path.exists() or path.is_symlink()
            if is_there and not self.knows(path):
                raise ValueError(
                    f"{str(path)!r} is in the way, and was not written with "
                    "these settings. Move it away, or pass another `--output`. "
                    f"Received: output={str(self.folder)!r}"
                )

    def delete(self, *folders: str) -> None:
        """Deletes what is listed in some folders, and these, if empty then.

        Args:
            *folders: Their names, in the output folder.

        Raises:
            ValueError: If a folder is a link to another place, where nothing
                is deleted, or somebody else's file is in a checkpoint.
        """
        names = {name for name in self.written if name.split("/")[0] in folders}
        paths = [self.folder / name for name in sorted(names)]
        for path in paths:
            self._check_no_link(path)
            self._check_no_foreign_step(path)
        for path in paths:
            self._remove(path)
        for parent in sorted({p.parent for p in paths}, reverse=True):
            self._remove_empty(parent)
        # A folder that somebody else's files keep stays ours, beside them.
        kept = {n for n in names if n[-1] == "/" and (self.folder / n).is_dir()}
        self.written -= names - kept

    def forget(self, *paths: pathlib.Path) -> None:
        """Deletes some files or folders, without writing that they are gone.

        Args:
            *paths: Their paths; those that are not listed are left alone.
        """
        for path in paths:
            if self.knows(path) and not path.is_symlink():
                self._remove(path)
                if not path.is_dir():
                    name = self._relative(path)
                    self.written -= {name, name + "/"}

    def _remove(self, path):
        if path.is_symlink():
            return
        if path.is_file():
            path.unlink()
        elif path.is_dir() and self._relative(path) + "/" in self.written:
            self._remove_checkpoints(path)

    def _remove_checkpoints(self, folder):
        for file in _checkpoint_files(folder):
            file.unlink()
        for place in sorted(_folders_in(folder), reverse=True):
            # Of the deepest first; what is not empty is somebody's.
            if not any(place.iterdir()):
                place.rmdir()

    def _check_no_foreign_step(self, path):
        """A checkpoint that can't be deleted would be taken for a new one."""
        if path.is_symlink() or not path.is_dir():
            return
        own = set(_checkpoint_files(path))
        for step in path.iterdir():
            if not step.name.isdecimal() or not step.is_dir():
                continue
            for file in sorted(step.rglob("*")):
                if file not in own and (file.is_symlink() or file.is_file()):
                    raise ValueError(
                        f"{str(file)!r} is in the way, in a checkpoint that is "
                        "to be deleted, and keras-irl did not write it. Move "
                        "it away, or pass another `--output`. "
                        f"Received: output={str(self.folder)!r}"
                    )

    def _remove_empty(self, folder):
        while folder != self.folder and folder.is_dir():
            if folder.is_symlink() or any(folder.iterdir()):
                return
            folder.rmdir()
            folder = folder.parent

    def _check_no_link(self, path):
        for folder in path.parents:
            if folder == self.folder:
                return
            if folder.is_symlink():
                raise ValueError(
                    f"{str(folder)!r} is a link to another place, where "
                    "nothing is deleted. Remove the link, or pass another "
                    f"`--output`. Received: output={str(self.folder)!r}"
                )

    def _relative(self, path):
        return pathlib.Path(path).relative_to(self.folder).as_posix()

    def _write(self):
        content = (self.content or {}) | {WRITTEN: sorted(self.written)}
        text = json.dumps(content, indent=1)
        atomic_write({self.path.name: text}, self.folder)


def _manifest(job, folder):
    """The manifest of a folder, which knows its report if it has none."""
    manifest = Manifest(folder, *MANIFESTS[job])
    if manifest.content is not None and not manifest.is_listed:
        manifest.adopt(manifest.folder / name for name in FILES[job])
    return manifest


def _checkpoint_files(folder):
    """The files in a folder of checkpoints that belong to them."""
    try:
        noted = json.loads((folder / "sizes.json").read_bytes())
        noted = {f"{step}/{name}" for step in noted for name in noted[step]}
    except (OSError, ValueError, TypeError):
        noted = set()
    files = [path for path in folder.rglob("*") if not path.is_symlink()]
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return [
        path
        for name, path in names.items()
        if path.is_file() and (name in noted or _OF_CHECKPOINTS.fullmatch(name))
    ]


def _folders_in(folder):
    """A folder and all below it, none through a link."""
    below = [p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink()]
    return [folder, *below]


def _are_inside(names):
    """Whether it is a list of paths, none of which leads out of a folder."""
    if not isinstance(names, list):
        return False
    return all(
        isinstance(name, str)
        and name
        and not pathlib.PurePosixPath(name).is_absolute()
        and ".." not in pathlib.PurePosixPath(name).parts
        for name in names
    )
