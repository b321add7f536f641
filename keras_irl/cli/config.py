"""Config files: the flags of a command, by name, in YAML or TOML.

A file is read as data, and nothing in it is executed. Its values are made the
texts that a command line would hold, and checked as these are.
"""

import argparse
import datetime
import difflib
import math
import os
import pathlib
import re
import tomllib
from collections.abc import Collection
from collections.abc import Sequence
from typing import Any

from keras_irl.cli.decoders import DecoderSpec
from keras_irl.cli.flag_values import flag_of
from keras_irl.types import Path

# What a run writes back.
CONFIG = "config.yaml"
FLAG = "--config"
_LARGEST_BYTES = 2**20
# Flags of a usage line, and whether a value follows.
_USAGE = re.compile(r"\[?(--[a-z][a-z-]*)( [^\[\]\s]+)?")
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
# Flags that are given once for each of several values; of others, commas
# separate them.
REPEATED = {"evaluate": ("policy",), "rewards": ("metric",)}
# Flags of several values, which commas separate; a list for another is a
# mistake, and not a text with commas.
LISTS = (
    *("td_weight", "value_offset", "objectives", "metrics"),
    *("temperatures", "decoders", "mesh"),
)
# Flags of files and folders, which a run writes so that they are found from
# anywhere.
_PATHS = ("path", "output", "prompts", "control", "compilation_cache")
# What says how a command is run, and not what comes of it.
_NOT_WRITTEN = ("job", "arguments", "overwrite")


_UNREADABLE: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, AttributeError, LookupError, RecursionError),
)


class ConfigError(ValueError):
    """A config file that can't be read, or a key in it that is no flag."""


def config_path(arguments: Sequence[str]) -> str | None:
    """Finds the config file that a command line names.

    Args:
        arguments: List of strings.

    Returns:
        Its path, or `None`.

    Raises:
        ConfigError: If there are several.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    # An option whose value is missing is told of by the parser of all flags.
    parser.add_argument(FLAG, action="append", nargs="?")
    found = parser.parse_known_args(arguments)[0].config or []
    if len(found) > 1:
        raise ConfigError(
            f"Pass one `{FLAG}`: what two say of a flag would be told apart by "
            f"nothing. Received: config={found}"
        )
    if found and found[0] is not None and not found[0].strip():
        raise ConfigError(
            f"`{FLAG}` must be a path, and is empty. "
            f"Received: config={found[0]!r}"
        )
    return found[0] if found else None


def with_config(
    arguments: Sequence[str], parser: argparse.ArgumentParser, path: Path
) -> list[str]:
    """Puts the flags of a config file before those of a command line.

    Args:
        arguments: List of strings, the name of a command first.
        parser: The parser of this command.
        path: Path of the config file.

    Returns:
        List of strings. Of what stands there twice, the last counts.

    Raises:
        ConfigError: If the file can't be read, or a key is no flag of the
            command or has a value that no flag takes.
    """
    job, *given = arguments
    takes_value = {
        flag: bool(value) for flag, value in _USAGE.findall(_usage(parser))
    }
    takes_value.pop(FLAG)
    tokens = []
    for key, value in read_config(path).items():
        flag = flag_of(key)
        if flag not in takes_value:
            raise _unknown(job, key, takes_value, path)
        name = key.replace("-", "_")
        is_repeated = name in REPEATED.get(job, ())
        if is_repeated and any(_sets(text, flag) for text in given):
            continue
        try:
            if not (is_repeated or name in LISTS):
                _check_single(value)
            texts = _texts(value, takes_value[flag], is_repeated)
        except ConfigError as error:
            raise ConfigError(
                f"In {str(path)!r}, {error} Received: {key}={value!r:.100}"
            ) from None
        # By `=`, as a value may begin with a minus sign.
        tokens += [flag if t is None else f"{flag}={t}" for t in texts]
    return [job, *tokens, *given]


def read_config(path: Path) -> dict[str, Any]:
    """Reads a config file, and executes nothing.

    Args:
        path: Path of a `.yaml`, `.yml` or `.toml` file.

    Returns:
        Dictionary from the names of flags to values.

    Raises:
        ConfigError: If it is no such file, or holds no such thing.
    """
    path = pathlib.Path(path)
    readers = {".yaml": _read_yaml, ".yml": _read_yaml, ".toml": _read_toml}
    if path.suffix.lower() not in readers:
        raise ConfigError(
            "A config is a .yaml or .toml file, by which its language is "
            f"known. Received: config={str(path)!r}"
        )
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeError) else error
        raise ConfigError(
            f"The config can't be read: {reason}. "
            f"Received: config={str(path)!r}"
        ) from None
    if len(data) > _LARGEST_BYTES:
        raise ConfigError(
            f"The config is longer than {_LARGEST_BYTES} bytes. "
            f"Received: config={str(path)!r}"
        )
    return _checked(readers[path.suffix.lower()](text, path), path)


def config_text(
    options: argparse.Namespace, backend: str, left_out: Collection[str] = ()
) -> str:
    """Writes the flags of a run, as they were resolved, to be given back.

    Args:
        options: What `parse_arguments` returns.
        backend: Name of the backend that Keras runs on.
        left_out: Names of options that the run had no use for. Defaults to
            none.

    Returns:
        String, in YAML. Paths are absolute: the same run can be made from
        another folder.
    """
    import yaml

    names = [
        name for name in vars(options) if name not in {*_NOT_WRITTEN, *left_out}
    ]
    values = {
        name.replace("_", "-"): _plain(value)
        for name, value in plain_options(options, names).items()
    }
    values["backend"] = backend
    command = f"keras-irl {options.job} {FLAG} {CONFIG}"
    body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    return f"# {command}\n{body}"


def plain_options(
    options: argparse.Namespace, names: Sequence[str]
) -> dict[str, Any]:
    """Returns some options, as they are found from any folder.

    Args:
        options: What `parse_arguments` returns.
        names: Names of options.

    Returns:
        Dictionary from the names to values with absolute paths.
    """
    given = vars(options)
    return {name: found_from_anywhere(name, given[name]) for name in names}


def found_from_anywhere(name: str, value: Any) -> Any:
    """Returns the value of an option, its paths made absolute.

    Args:
        name: Name of the option.
        value: What it is.

    Returns:
        The same, or with absolute paths in it.
    """
    if name in _PATHS:
        return None if value is None else os.path.abspath(value)
    if name == "policy" and isinstance(value, list):
        return list(map(_absolute_policy, value))
    if name in ("policy", "preset"):
        # A preset of keras-hub has a name, and lies in no folder here.
        return os.path.abspath(value) if os.path.exists(value) else value
    if name == "metrics" and value is not None:
        return list(map(_absolute_metric, value))
    return value


def _absolute_policy(text):
    """A policy, NAME=PATH or PATH, with an absolute path."""
    if os.path.exists(text):
        return os.path.abspath(text)
    name, equals, path = text.partition("=")
    return f"{name}{equals}{os.path.abspath(path)}" if equals else text


def _absolute_metric(text):
    """A metric, FILE.py:FUNCTION if a file here holds it."""
    where, _, function = text.rpartition(":")
    if where.isidentifier() and os.path.isfile(f"{where}.py"):
        where = f"{where}.py"  # A module that was found here.
    is_file = where.endswith(".py")
    return f"{os.path.abspath(where)}:{function}" if is_file else text


def _usage(parser):
    # All that argparse offers of the flags of a parser, if in colors.
    return " ".join(_COLORS.sub("", parser.format_usage()).split())


def _sets(text, flag):
    """Whether an argument is a flag, or the beginning of its name."""
    name = text.partition("=")[0]
    return len(name) > 2 and flag.startswith(name)


def _unknown(job, key, flags, path):
    names = [flag.removeprefix("--") for flag in flags]
    near = difflib.get_close_matches(key.replace("_", "-"), names, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {names}."
    return ConfigError(
        f"In {str(path)!r} stands a key that is no flag of `{job}`; {hint} "
        f"Received: {key!r}"
    )


def _check_single(value):
    if isinstance(value, list | dict):
        kind = "list" if isinstance(value, list) else "table"
        raise ConfigError(f"this flag takes one value, and no {kind}.")


def _texts(value, takes_value, is_repeated):
    """Texts that a flag is given, `None` for a flag without any."""
    if value is None:
        return []
    if not takes_value:
        if not isinstance(value, bool):
            raise ConfigError("this flag is true or false.")
        return [None] if value else []
    if isinstance(value, dict):
        value = [f"{name}={_text(item)}" for name, item in value.items()]
    if not isinstance(value, list):
        return [_text(value)]
    texts = [_text(item) for item in value]
    return texts if is_repeated else [",".join(texts)]


def _text(value):
    if isinstance(value, bool):
        raise ConfigError(
            "this flag is neither true nor false; write a word in quotes."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError("the number is not finite.")
    if not isinstance(value, str | int | float):
        kind = type(value).__name__
        if isinstance(value, datetime.date | datetime.time):
            kind = "date, which is written in quotes"
        raise ConfigError(
            f"a text, a number or a list is needed, not a {kind}."
        )
    return str(value)


def _read_yaml(text, path):
    # Only here: help needs no parser of YAML.
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        # Of keys that stand there twice, the last alone would be read.
        keys = (
            [str(key.value) for key, _ in node.value] if _is_map(node) else []
        )
        twins = sorted({key for key in keys if keys.count(key) > 1})
        if twins:
            raise _twice(twins[0], path)
        return yaml.safe_load(text)
    except (ConfigError, MemoryError):
        raise
    # Also tags of numbers and dates before what is none, in many ways.
    except (yaml.YAMLError, *_UNREADABLE) as error:
        raise _malformed("YAML", error, path) from None


def _is_map(node):
    return node is not None and node.id == "mapping"


def _read_toml(text, path):
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed("TOML", error, path) from None


def _malformed(language, error, path):
    return ConfigError(
        f"The config is not valid {language}: {' '.join(str(error).split())}. "
        f"Received: config={str(path)!r}"
    )


def _checked(values, path):
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(
        isinstance(key, str) for key in values
    ):
        raise ConfigError(
            "A config holds names of flags with their values, such as `steps: "
            f"1500`. Received: config={str(path)!r} with {values!r:.100}"
        )
    names = [key.replace("_", "-") for key in values]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise _twice(twins[0], path)
    return values


def _twice(key, path):
    return ConfigError(
        f"In {str(path)!r}, a key stands there twice, so that one of its "
        f"values would be lost. Received: {key!r} twice"
    )


def _plain(value):
    if isinstance(value, DecoderSpec):
        return value.text
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
