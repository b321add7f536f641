"""Files that are written whole or not at all."""

import os
import pathlib


def write_whole(files, folder, others=()):
    """Writes under other names first, so that no file is ever half there.

    What can't be written is found out before anything is.

    Args:
        files: Dictionary from names to strings or bytes.
        folder: Where to write; made if it does not exist.
        others: Names of files that belong to these. Those that an earlier
            call wrote, and this one does not, are removed. Defaults to none.

    Returns:
        List of the paths.

    Raises:
        ValueError: If the folder is a file, or below one, or if a folder has
            the name of one of the files.
    """
    old = set(others) - files.keys()
    check_folder(folder, (*files, *map(_part, files), *old))
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {folder / name: folder / _part(name) for name in files}
    try:
        for path, part in parts.items():
            data = files[path.name]
            part.write_bytes(data.encode() if isinstance(data, str) else data)
        for path, part in parts.items():
            os.replace(part, path)
        for name in old:
            (folder / name).unlink(missing_ok=True)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return list(parts)


def check_folder(folder, names=()):
    """Finds out early that files can't be written to a folder.

    Args:
        folder: Path, of which nothing need exist.
        names: Names of the files. Defaults to none.

    Raises:
        ValueError: If it is a file, or below one, or if a folder has one of
            the names.
    """
    path = pathlib.Path(folder)
    for place in (path, *path.parents):
        if place.exists():
            if not place.is_dir():
                raise ValueError(
                    "`output` must be a folder, and a file has its name or "
                    f"that of a folder above. Received: output={str(folder)!r}"
                )
            break
    for name in names:
        if (path / name).is_dir():
            raise ValueError(
                f"A file {name!r} is to be written, and a folder has its name."
                " Move it away, or pass another `output`. "
                f"Received: output={str(folder)!r}"
            )


def _part(name):
    return f".{name}.part"
