"""Small figures in ten minutes, as ratios, against the committed ones.

    make bench                                  # compares, fails where slower
    python benchmarks/bench.py --update         # on a quiet machine: commits

Each figure is a process of its own, one after the other; both sides of a ratio
take turns in it, five rounds. One is worse where its median lies above all
rounds of the committed one, and all its rounds above the committed median.
`--only TEXT` measures the figures that have it in their names.
"""

import argparse
import json
import pathlib
import platform
import sys
import time

from bench_figures import FIGURES
from bench_figures import measure
from processes import measured
from processes import versions
from rounds import markdown
from rounds import spread
from rounds import write_json

COMMITTED = pathlib.Path(__file__).parent / "results" / "bench.json"
PACKAGES = ("keras", "keras-hub", "jax", "numpy")


def is_worse(found, committed):
    """Whether ratios are higher than committed ones, beyond what rounds say.

    Args:
        found: List of ratios, lower is better.
        committed: List of ratios.

    Returns:
        A boolean.
    """
    middle, committed_middle = median(found), median(committed)
    return middle > max(committed) and min(found) > committed_middle


def median(values):
    values = sorted(values)
    half = len(values) // 2
    return (values[half] + values[~half]) / 2


def machine():
    """What processor this is, and how many of its cores there are."""
    import os

    name = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def table(found, committed):
    """A line for each figure, and whether it became worse."""
    lines = []
    for name, ratios in found.items():
        old = committed.get(name)
        if ratios is None:
            told = "failed"
        elif old is None:
            told = "not committed"
        else:
            told = "worse" if is_worse(ratios, old) else "as good"
        lines.append([name, spread(ratios), spread(old), told])
    header = ["figure", "median (range)", "committed", ""]
    return markdown(header, lines)


def failures(found, committed):
    """The figures that failed, or became worse."""
    return [
        name
        for name, ratios in found.items()
        if ratios is None
        or (name in committed and is_worse(ratios, committed[name]))
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--only", default="", help="figures with this text in their names")
    add("--update", action="store_true", help="keeps what is found")
    add("--figure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.figure:
        print(json.dumps(measure(options.figure)))
        return 0
    kept = {}
    if COMMITTED.exists():
        kept = json.loads(COMMITTED.read_text("utf-8"))
    committed = kept.get("figures", {})
    found = {}
    for name in FIGURES:
        if options.only not in name:
            continue
        start = time.monotonic()
        command = [sys.executable, __file__, "--figure", name]
        result = measured(name, command, "jax")
        found[name] = result and result["ratios"]
        took = time.monotonic() - start
        print(f"{name}: {spread(found[name])}, {took:.0f} s", flush=True)
    told = {"machine": machine(), "versions": versions(*PACKAGES)}
    print(f"\n{told['machine']}, {told['versions']}\n")
    print(table(found, committed))
    if options.update:
        complete = {k: v for k, v in found.items() if v is not None}
        write_json(COMMITTED, {**told, "figures": {**committed, **complete}})
        return 0
    worse = failures(found, committed)
    if worse:
        print(f"\nWorse, or failed: {', '.join(worse)}")
    return int(bool(worse))


if __name__ == "__main__":
    sys.exit(main())
