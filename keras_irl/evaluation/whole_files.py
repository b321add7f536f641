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
    """
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
