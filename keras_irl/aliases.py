"""Lazy and deprecated names: of modules, and of keyword arguments."""

import functools
import importlib
import inspect
import warnings
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

from keras_irl.error_texts import shortened

Function = TypeVar("Function", bound=Callable[..., Any])


def warn_of_old_name(old: str, new: str, removed_in: str) -> None:
    """Warns whoever called the caller that a name will go.

    Args:
        old: The name that was used.
        new: What it is called now.
        removed_in: The version that no longer knows the old name.
    """
    warnings.warn(
        f"`{old}` is `{new}` now, and the old name ends with version "
        f"{removed_in}.",
        DeprecationWarning,
        stacklevel=3,
    )


def offer(
    room: str,
    names: dict[str, Any],
    *,
    removed_in: str | None = None,
    told_by_call: Sequence[str] = (),
) -> Callable[..., Any]:
    """Makes the `__getattr__` of a room that offers names of others.

    They are imported when they are asked for, so that a room can offer what
    stands above it.

    Args:
        room: The name of the module that offers them, its `__name__`.
        names: Dictionary from a name to the module that it stands in, or to
            `"module:name"` where it has another name there.
        removed_in: The version that no longer offers them here; asking then
            warns. Defaults to `None`, for names that stay.
        told_by_call: Of `names`, the functions that say themselves what there
            is in their place, as it is no function of the same arguments.
            Asking for them does not warn. Defaults to none.

    Returns:
        A function from a name to what it stands for.
    """

    def get(name):
        if name not in names:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        place, _, new_name = names[name].partition(":")
        new_name = new_name or name
        if removed_in is not None and name not in told_by_call:
            warn_of_old_name(
                f"{room}.{name}", f"{place}.{new_name}", removed_in
            )
        return getattr(importlib.import_module(place), new_name)

    return get


def renamed_arguments(
    removed_in: str, **names: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a decorator of functions that still take arguments of old names.

    Args:
        removed_in: The version that no longer takes them; passing one warns.
        **names: The new name of each, by its old one.

    Returns:
        A function from a function to one that takes both.

    Example:
    >>> @renamed_arguments("0.3", trace_decay="gae_lambda")
    ... def advantages(rewards, gae_lambda=0.95): ...
    """

    def decorate(function: Function) -> Function:
        name = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def with_old_names(*args, **kwargs):
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise ValueError(
                        f"`{old}` of `{name}` is an older name of `{new}`; "
                        f"pass one of them. Received: {old}={kwargs[old]!r}, "
                        f"{new}={kwargs[new]!r}"
                    )
                warn_of_old_name(f"{name}({old}=)", f"{new}=", removed_in)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        # Keras reads the arguments of a constructor, and looks behind no
        # wrapper.
        vars(with_old_names)["__signature__"] = inspect.signature(function)
        return with_old_names  # type: ignore[return-value]

    return decorate


def unpacked_argument(
    removed_in: str, old: str, new: Sequence[str], positional: Sequence[str]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Makes a decorator of functions one of whose arguments became several.

    Args:
        removed_in: The version that no longer takes them so; it warns.
        old: The name of the argument that was a tuple of them.
        new: The name of each, in the order of the tuple.
        positional: What could be passed by position before, in that order;
            of it, what comes before `old` still can.

    Returns:
        A function from a function to one that takes both.

    Example:
    >>> @unpacked_argument("0.3", "size", ["height", "width"], ["size"])
    ... def area(*, height, width):
    ...     return height * width
    """

    def decorate(function: Function) -> Function:
        name = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def with_old_argument(*args, **kwargs):
            still = list(positional).index(old)
            if len(args) > still:
                by_position = args[still : len(positional)]
                kwargs |= zip(positional[still:], by_position, strict=False)
                args = args[:still] + args[len(positional) :]
            if old in kwargs:
                values = kwargs.pop(old)
                is_of_them = isinstance(values, tuple | list)
                if not is_of_them or len(values) != len(new):
                    raise ValueError(
                        f"Pass {', '.join(f'`{one}=`' for one in new)}, each "
                        f"by its name. Received: {old}={shortened(values)}"
                    )
                warn_of_old_name(
                    f"{name}({old}=)", "=, ".join(new) + "=", removed_in
                )
                kwargs |= dict(zip(new, values, strict=True))
            return function(*args, **kwargs)

        vars(with_old_argument)["__signature__"] = inspect.signature(function)
        return with_old_argument  # type: ignore[return-value]

    return decorate


def current_names(
    config: dict[str, Any], names: dict[str, str]
) -> dict[str, Any]:
    """Gives the arguments of a configuration the names they have now.

    Args:
        config: What `get_config` returned when it was saved. It is left alone.
        names: The new name of each argument, by its old one.

    Returns:
        A dictionary. Nobody is warned: who reads a file can't rename what
        stands in it.
    """
    return {names.get(name, name): value for name, value in config.items()}
