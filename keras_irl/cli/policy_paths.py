"""Validation of the paths of saved policies."""

import os
import pathlib

from keras_irl.arguments import shortened


def check_path(path):
    """Checks that there is a file or a folder.

    Args:
        path: Path of a policy.

    Raises:
        ValueError: If there is neither.
    """
    if not _exists(path):
        raise ValueError(
            "Expected a .keras file, or the folder of a keras-hub preset, and "
            f"found nothing there. Received: path={shortened(str(path))}"
        )


def named_paths(texts):
    """Finds the paths of policies by name.

    Args:
        texts: A list of `NAME=PATH` or `PATH`.

    Returns:
        Dictionary from names to lists of paths, several of one name where
        they are training runs of one method.

    Raises:
        ValueError: If there is no such file or folder, a name is missing, or
            two policies can't be told apart.
    """
    groups, named = {}, set()
    for text in texts:
        name, path, is_given = _name_and_path(text)
        others = groups.setdefault(name, [])
        if any(is_same_path(path, other) for other in others):
            raise ValueError(
                "The same policy twice tells nothing new. "
                f"Received: policy={text!r} twice"
            )
        # Files of one name are not for that training runs of one method.
        if others and not (is_given and name in named):
            raise ValueError(
                f"Two policies would be called {name!r}. Give each a name, by "
                "NAME=PATH; the same one where they are training runs of one "
                f"method. Received: policy={others[0]!r}, policy={path!r}"
            )
        others.append(path)
        if is_given:
            named.add(name)
    return groups


def is_same_path(path, other):
    """Tells whether two paths, which may be spelled differently, are one."""
    return os.path.realpath(path) == os.path.realpath(other)


def _name_and_path(text):
    """A policy's name and path, and whether the name was given."""
    name, equals, path = text.partition("=")
    is_given = bool(equals) and not _exists(text)
    if not is_given:
        name, path = pathlib.Path(text).stem, text
    name = name.strip()
    if not name or not path:
        raise ValueError(
            "`--policy` takes NAME=PATH, or a path with a name of its own."
            f" Received: policy={text!r}"
        )
    check_path(path)
    return name, path, is_given


def _exists(path):
    try:
        return pathlib.Path(path).exists()
    # Such as a name that is too long.
    except (OSError, ValueError):
        return False
