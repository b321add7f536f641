"""Commands as a shell runs them, in a process of their own."""

import multiprocessing
import os
import pathlib
import subprocess
import sys
import tempfile

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


# What the commands import, which takes ten times as long as most of them.
_IMPORTED = (
    "keras_irl.__main__",
    "keras_irl.cli.judged_texts",
    "keras_irl.cli.run_folder",
    "keras_irl.evaluation",
    "keras_irl.reporting",
    "keras_irl.reporting.heat_maps",
    "keras_irl.trainers",
)


def run_forked(arguments, before=""):
    """Runs a command, as `run` does, in a fork of a process that waits.

    That process has imported what commands import, once for all, and computed
    nothing: threads would be missing in its forks.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([*_IMPORTED])
    arguments = [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder:
        work = (arguments, before, folder)
        process = server.Process(target=_run_here, args=work)
        paths = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = environment()["PYTHONPATH"]
        try:
            process.start()
        finally:
            if paths is None:
                del os.environ["PYTHONPATH"]
            else:
                os.environ["PYTHONPATH"] = paths
        process.join(timeout=300)
        assert process.exitcode is not None, "It did not end."
        printed = [
            (pathlib.Path(folder) / name).read_text("utf-8", "replace")
            for name in ("output", "errors")
        ]
    return process.exitcode, *printed


def _run_here(arguments, before, folder):
    """Runs a command in this process, which ends with it."""
    for number, name in enumerate(("output", "errors"), start=1):
        file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    # As Python makes them where nobody looks.
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", 1, encoding="utf-8", closefd=False)
    exec(before, {})
    from keras_irl.__main__ import main

    sys.exit(main(arguments))
