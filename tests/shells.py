"""Commands as a shell runs them, in a process of their own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def environment(**others):
    """What a process needs to find the package."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        **others,
    }


def start(arguments, before="", **named):
    """Starts a command; `before` is Python that runs first in its process."""
    code = f"{before}\nimport sys\nfrom keras_irl.__main__ import main\n"
    code += f"sys.exit(main({[str(a) for a in arguments]!r}))"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=named.pop("stdout", subprocess.PIPE),
        stderr=named.pop("stderr", subprocess.PIPE),
        env=environment(**named),
    )


def run(arguments, before="", **named):
    """Runs a command; returns its exit code, its output and its errors."""
    process = start(arguments, before, **named)
    output, errors = process.communicate(timeout=300)
    return (
        process.returncode,
        (output or b"").decode("utf-8", "replace"),
        (errors or b"").decode("utf-8", "replace"),
    )
