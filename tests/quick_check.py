"""`make check`: what is tested in a minute, on the quickest backend.

What needs no backend, one test for each equation, and the tests of the files
that differ from the branch `main`; where these are many, of those that are not
committed.
"""

import os
import pathlib
import re
import subprocess
import sys

import suite_plan

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
# With more, a minute would not do.
MAX_CHANGED = 8


def changed_files(since):
    """What differs from a commit, and what is new."""
    new = _git("ls-files", "--others", "--exclude-standard")
    return [*_git("diff", "--name-only", since), *new]


def changed_tests():
    """The tests of what differs from `main`, or of what is not committed."""
    (base,) = _git("merge-base", "HEAD", "main") or ["HEAD"]
    found = tests_of(changed_files(base))
    if len(found) <= MAX_CHANGED:
        return found
    print(
        f"{len(found)} test files differ from main, and are left to `make "
        "test`, but for those that are not committed.",
        flush=True,
    )
    return tests_of(changed_files("HEAD"))


def tests_of(files):
    """The test files among some files, and those of the others.

    A module has a test file that mirrors it, or else is private to one that
    has: then that is meant.
    """
    found = set()
    for file in files:
        path = pathlib.PurePosixPath(file)
        if path.match("tests/**/*_test.py") or path.match("tests/*_test.py"):
            found.add(path.as_posix())
        elif path.suffix == ".py" and path.parts[0] == "keras_irl":
            found.update(_tests_of_module(path))
    return sorted(file for file in found if (ROOT / file).exists())


def _tests_of_module(path):
    inside = path.relative_to("keras_irl")
    mirror = f"tests/{inside.parent}/{inside.stem}_test.py".replace("/./", "/")
    if (ROOT / mirror).exists():
        return {mirror}
    name = ".".join(path.with_suffix("").parts)
    needed = re.compile(rf"^\s*(?:from|import) {name}\b", re.MULTILINE)
    users = {
        pathlib.PurePosixPath(user.relative_to(ROOT))
        for user in (ROOT / "keras_irl").rglob("*.py")
        if user.name != "__init__.py" and needed.search(user.read_text("utf-8"))
    }
    return {test for user in users for test in _tests_of_module(user)}


def takes_minutes(file):
    """Whether a test file is too long for a quick check."""
    path = pathlib.PurePosixPath(file)
    return path.name in suite_plan.SLOWEST or "fuzz" in path.parts


def selected():
    """What pytest is asked to run, nothing twice."""
    planned = [
        f"tests/{entry}"
        for entry in (*suite_plan.BACKEND_FREE, *suite_plan.EQUATIONS)
    ]
    changed = changed_tests()
    slow = [file for file in changed if takes_minutes(file)]
    if slow:
        print("Changed, and left to `make test`:", *slow, flush=True)
    more = [
        file
        for file in changed
        if file not in slow
        and not suite_plan.is_backend_free(file.removeprefix("tests/"))
    ]
    of_changed = tuple(f"{file}::" for file in more)
    return [p for p in planned if not p.startswith(of_changed)] + more


def _git(*arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


def main():
    command = [sys.executable, "-m", "pytest", "-q", *sys.argv[1:]]
    return subprocess.run(
        [*command, *selected()],
        cwd=ROOT,
        env=os.environ | {"KERAS_BACKEND": suite_plan.QUICKEST},
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
