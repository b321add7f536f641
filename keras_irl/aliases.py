"""Names that stand in one room and are offered by another as well."""

import importlib
import warnings


def offer(door, names, *, removed_in=None):
    """Makes the `__getattr__` of a room that offers names of others.

    They are imported when they are asked for, so that a room can offer what
    stands above it.

    Args:
        door: The name of the room, its `__name__`.
        names: Dictionary from a name to the module that it stands in, or
            `None` for the name of a module itself.
        removed_in: The version that no longer offers them here; asking then
            warns. Defaults to `None`, for names that stay.

    Returns:
        A function from a name to what it stands for.
    """

    def get(name):
        if name not in names:
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        place = names[name]
        if removed_in is not None:
            warnings.warn(
                f"`{door}.{name}` is `{place}.{name}` now, and the old name "
                f"ends with version {removed_in}.",
                DeprecationWarning,
                stacklevel=2,
            )
        return getattr(importlib.import_module(place), name)

    return get
