"""`make mutate`: makes faults, one at a time, and asks whether a test fails.

    python tests/mutation/mutate.py [--only losses/] [--jobs 2]

Each is made in a copy of the package in a temporary folder. It fails if a
fault survives, or if the text that it replaces is not there any more.
"""

import argparse
import collections
import importlib
import importlib.util
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from mutations import MUTATIONS

ROOT = pathlib.Path(__file__).parents[2]
SETTINGS = {
    # It compiles nothing, and a fork of it is there at once.
    "KERAS_BACKEND": "torch",
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
# What the tests import, except for what is mutated: it is imported once, and
# every run is a fork.
HEAVY = ("pytest", "hypothesis", "keras", "keras_hub", "nltk", "sacrebleu")
TIME_LIMIT = 300  # Seconds; a fault may end in a loop without end.
# The exit codes of pytest, and one of our own.
SURVIVED, KILLED, ELSEWHERE = 0, 1, 97


class Run:
    """A fork that runs some tests on a copy of the package."""

    def __init__(self, folder, mutation, tests):
        self.mutation = mutation
        self.log = folder / "log.txt"
        self.started = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            _test(folder, tests, self.log)

    def code(self):
        """The exit code, or `None` while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() - self.started > TIME_LIMIT:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return KILLED  # What never ends has been noticed.
        return None


def _test(folder, tests, log):
    """Runs tests in this process, and ends it."""
    code = ELSEWHERE
    try:
        with open(log, "wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        importlib.invalidate_caches()
        found = importlib.util.find_spec("keras_irl").origin
        if pathlib.Path(found).is_relative_to(folder):
            import pytest

            options = ["-x", "-q", "--disable-warnings", "-p", "no:xdist"]
            code = pytest.main([*options, "-p", "no:cacheprovider", *tests])
    finally:
        sys.stdout.flush()
        os._exit(int(code))


def copy_to(folder):
    """Copies what the tests need, without what Python compiled of it."""
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("keras_irl", "tests", "guides"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "Makefile"):
        shutil.copy(ROOT / name, folder)


def mutated(folder, mutation):
    """Puts the fault into the copy, and gives back the text of before."""
    path = folder / "keras_irl" / mutation.file
    text = path.read_text("utf-8")
    path.write_text(text.replace(mutation.old, mutation.new), "utf-8")
    return path, text


def misplaced(mutations):
    """Says of which mutations the old text is not there exactly once."""
    for mutation in mutations:
        path = ROOT / "keras_irl" / mutation.file
        text = path.read_text("utf-8") if path.exists() else ""
        count = text.count(mutation.old)
        if count != 1:
            yield f"{describe(mutation)}: stands there {count} times"
        elif mutation.new == mutation.old:
            yield f"{describe(mutation)}: changes nothing"


def describe(mutation):
    return f"{mutation.file}: {mutation.old!r} -> {mutation.new!r}"


def run_all(mutations, folders):
    """Runs the tests of each mutation; yields its exit code and log."""
    waiting, running = collections.deque(mutations), {}
    while waiting or running:
        for folder in folders:
            if waiting and folder not in running:
                mutation = waiting.popleft()
                before = mutated(folder, mutation)
                run = Run(folder, mutation, [f"tests/{mutation.tests}"])
                running[folder] = run, before
        for folder, (run, (path, text)) in list(running.items()):
            code = run.code()
            if code is not None:
                path.write_text(text, "utf-8")
                del running[folder]
                yield run, code
        time.sleep(0.05)


def judge(mutations, folders):
    """Prints what becomes of each mutation, and counts those not killed."""
    started, survivors = time.monotonic(), []
    for done, (run, code) in enumerate(run_all(mutations, folders), start=1):
        passed = time.monotonic() - started
        left = passed / done * (len(mutations) - done)
        word = {KILLED: "killed", SURVIVED: "SURVIVED"}.get(
            code, f"BROKEN {code}"
        )
        print(
            f"[{done}/{len(mutations)}, {left / 60:.1f} min left] {word}: "
            f"{describe(run.mutation)} ({run.mutation.tests})",
            flush=True,
        )
        if code != KILLED:
            survivors.append(run.mutation)
        if code not in (KILLED, SURVIVED):
            print(run.log.read_text("utf-8", "replace")[-2000:], flush=True)
    return survivors


def passes_unchanged(mutations, folder):
    """Whether the tests pass where nothing was changed."""
    tests = sorted({f"tests/{mutation.tests}" for mutation in mutations})
    run = Run(folder, None, tests)
    while (code := run.code()) is None:
        run.started = time.monotonic()  # It takes as long as it takes.
        time.sleep(0.1)
    if code:
        print(run.log.read_text("utf-8", "replace")[-3000:])
    return not code


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="a part of a file's path")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    arguments = parser.parse_args()
    mutations = [m for m in MUTATIONS if arguments.only in m.file]
    wrong = [*misplaced(mutations)]
    if wrong or not mutations:
        print(*wrong, sep="\n")
        return f"{len(wrong)} of {len(mutations)} mutations do not apply."
    sys.dont_write_bytecode = True
    os.environ.update(SETTINGS)
    for name in HEAVY:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as root:
        folders = [pathlib.Path(root) / str(i) for i in range(arguments.jobs)]
        for folder in folders:
            folder.mkdir()
            copy_to(folder)
        if not passes_unchanged(mutations, folders[0]):
            return "The tests fail already, without a mutation."
        survivors = judge(mutations, folders)
    print(f"{len(mutations) - len(survivors)} of {len(mutations)} killed.")
    for mutation in survivors:
        print(f"Not killed: {describe(mutation)} by {mutation.tests}")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
