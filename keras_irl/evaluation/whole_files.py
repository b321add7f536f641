"""Files that are written whole or not at all."""

import os
import pathlib


def write_whole(files, folder):
    """Writes under other names first, so that no file is ever half there.

    Args:
        files: Dictionary from names to strings or bytes.
        folder: Where to write; made if it does not exist.

    Returns:
        List of the paths.

    Raises:
        ValueError: If the folder is a file, or below one.
    """
    check_folder(folder)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = {folder / name: folder / f".{name}.part" for name in files}
    try:
        for path, part in parts.items():
            data = files[path.name]
            part.write_bytes(data.encode() if isinstance(data, str) else data)
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return list(parts)


def check_folder(folder):
    """Finds out early that files can't be written to a folder.

    Args:
        folder: Path, of which nothing need exist.

    Raises:
        ValueError: If it is a file, or below one.
    """
    path = pathlib.Path(folder)
    for place in (path, *path.parents):
        if place.exists():
            if not place.is_dir():
                raise ValueError(
                    "`output` must be a folder, and a file has its name or "
                    f"that of a folder above. Received: output={str(folder)!r}"
                )
            return
