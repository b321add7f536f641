"""Lazy and deprecated names of a package, offered by its `__getattr__`."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any


def offer(
    door: str, names: dict[str, Any], *, removed_in: Any = None
) -> Callable[..., Any]:
    """Makes the `__getattr__` of a room that offers names of others.

    They are imported when they are asked for, so that a room can offer what
    stands above it.

    Args:
        door: The name of the room, its `__name__`.
        names: Dictionary from a name to the module that it stands in, or to
            `"module:name"` where it has another name there.
        removed_in: The version that no longer offers them here; asking then
            warns. Defaults to `None`, for names that stay.

    Returns:
        A function from a name to what it stands for.
    """

    def get(name):
        if name not in names:
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        place, _, new_name = names[name].partition(":")
        new_name = new_name or name
        if removed_in is not None:
            warnings.warn(
                f"`{door}.{name}` is `{place}.{new_name}` now, and the old "
                f"name ends with version {removed_in}.",
                DeprecationWarning,
                stacklevel=2,
            )
        return getattr(importlib.import_module(place), new_name)

    return get
