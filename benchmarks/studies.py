"""Studies: `keras-irl compare` with several settings, and a table of them all.

A study is a list of comparisons, each in a folder of its own. Seeds come last:
after the first there is a table of all settings, and each further one narrows
its intervals. Stopped, the same command goes on where it was.

Hyperparameters are chosen on validation: `validation_folder` makes a folder
whose test split is one that training has not seen, and no test row either.
"""

import csv
import json
import os
import pathlib
import shutil
import time
from typing import NamedTuple

import numpy as np

NUM_VALIDATION = 200
E2E_FILES = ("devset.csv", "testset_w_refs.csv")
# What the tasks read, in their folders.
FILES = {
    "e2e": E2E_FILES,
    "e2e-delexicalized": E2E_FILES,
    "gsm8k": ("train.jsonl", "test.jsonl"),
    "scitldr": ("train.jsonl", "dev.jsonl", "test.jsonl"),
}


class Comparison(NamedTuple):
    """One call of `keras-irl compare`.

    Attributes:
        name: Name of its folder.
        flags: List of its flags, without seeds and output.
    """

    name: str
    flags: list


def run_study(comparisons, folder, num_seeds, *, is_shown=True):
    """Runs comparisons, seed by seed, and returns their results by name."""
    from keras_irl.__main__ import main

    folder = pathlib.Path(folder)
    jobs = [
        (c, seeds) for seeds in range(1, num_seeds + 1) for c in comparisons
    ]
    start, num_timed = time.monotonic(), 0
    for number, (comparison, seeds) in enumerate(jobs):
        output = folder / comparison.name
        if num_seeds_done(output) >= seeds:
            continue
        if is_shown:
            left = _time_left(start, num_timed, len(jobs) - number)
            print(
                f"\n== {comparison.name}, seed {seeds} of {num_seeds} "
                f"({number + 1} of {len(jobs)}{left})",
                flush=True,
            )
        command = ["compare", *comparison.flags, "--seeds", str(seeds)]
        code = main([*command, "--output", str(output)])
        # Where a policy diverged, the others were judged all the same.
        if code != 0 and num_seeds_done(output) < seeds:
            raise SystemExit(code)
        num_timed += 1
        write_table(comparisons, folder)
    return {c.name: results_of(folder / c.name) for c in comparisons}


def num_seeds_done(folder):
    """The number of seeds of a finished comparison, 0 if there is none."""
    results = results_of(folder)
    return 0 if results is None else results["seeds"]


def results_of(folder):
    """The results of a comparison, or `None`."""
    path = pathlib.Path(folder) / "metrics.json"
    if not path.exists():
        return None
    return json.loads(path.read_text("utf-8"))


def _time_left(start, num_timed, num_left):
    if not num_timed:
        return ""
    minutes = (time.monotonic() - start) / num_timed * num_left / 60
    return f", about {minutes:.0f} min left"


COLUMNS = (
    "settings | policy | runs | NLL, end (best) | greedy | finished | "
    "T = 0.5 / Self-BLEU | T = 1 / Self-BLEU | to the first, equal Self-BLEU"
).split(" | ")


def write_table(comparisons, folder):
    """Writes the table of all that is there to `table.md`."""
    rows = [list(COLUMNS), ["---"] * len(COLUMNS)]
    for comparison in comparisons:
        results = results_of(pathlib.Path(folder) / comparison.name)
        if results is not None:
            rows += table_rows(comparison.name, results)
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    (pathlib.Path(folder) / "table.md").write_text(text, "utf-8")
    return text


def table_rows(name, results):
    """The rows of a comparison, a list of lists of texts."""
    metric = results["metric"]
    fronts = {front["policy"]: front for front in results["fronts"]}
    return [
        [
            name,
            policy,
            str(len(runs)),
            _nll(runs),
            _spread(_of_rows(runs, 0.0, lambda row: row["metrics"][metric])),
            _spread(_of_rows(runs, 0.0, lambda row: row["finished"])),
            _point(runs, 0.5, metric),
            _point(runs, 1.0, metric),
            _difference(fronts.get(policy)),
        ]
        for policy, runs in results["objectives"].items()
    ]


def _nll(runs):
    ends = [run["negative_log_likelihood"] for run in runs]
    best = [run["best_negative_log_likelihood"] for run in runs]
    return f"{_spread(ends, 3)} ({_spread(best, 3)})"


def _of_rows(runs, temperature, value):
    return [
        value(row)
        for run in runs
        for row in run["rows"]
        if row["temperature"] == temperature
        and row["decoder"].startswith("T=")
        or (temperature == 0.0 and row["decoder"] == "greedy")
    ]


def _point(runs, temperature, metric):
    quality = _of_rows(runs, temperature, lambda row: row["metrics"][metric])
    overlap = _of_rows(runs, temperature, lambda row: row["self_bleu"])
    return f"{_spread(quality)} / {_spread(overlap)}" if quality else "–"


def _spread(numbers, digits=1):
    """Mean and standard error over runs."""
    numbers = [number for number in numbers if number is not None]
    if not numbers:
        return "–"
    text = f"{np.mean(numbers):.{digits}f}"
    if len(numbers) > 1:
        error = np.std(numbers, ddof=1) / np.sqrt(len(numbers))
        text += f" ± {error:.{digits}f}"
    return text


def _difference(front):
    if front is None or front["difference"] is None:
        return "–"
    low, high = front["difference_low"], front["difference_high"]
    interval = "" if low is None else f" ({low:+.1f} to {high:+.1f})"
    return f"{front['difference']:+.1f}{interval}"


def validation_folder(task, data, folder, num_prompts=NUM_VALIDATION):
    """Makes a folder whose test split is a validation split of a task.

    Args:
        task: Name of a task, `e2e`, `e2e-delexicalized`, `gsm8k` or `scitldr`.
        data: Path of the task's own folder, whose test split is not read.
        folder: Path of the folder to make.
        num_prompts: How many training prompts are held out, where the task has
            no validation split of its own.

    Returns:
        Path of the folder.
    """
    data, folder = pathlib.Path(data), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if task == "scitldr":
        shutil.copyfile(data / "train.jsonl", folder / "train.jsonl")
        shutil.copyfile(data / "dev.jsonl", folder / "test.jsonl")
    elif task == "gsm8k":
        lines = (data / "train.jsonl").read_text("utf-8").splitlines()
        prompts = [json.loads(line)["question"] for line in lines]
        kept, held = _split(prompts, lines, num_prompts)
        _write_whole(folder / "train.jsonl", "\n".join([*kept, ""]))
        _write_whole(folder / "test.jsonl", "\n".join([*held, ""]))
    else:
        with (data / "devset.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        kept, held = _split([row[0] for row in rows], rows, num_prompts)
        _write_csv(folder / "devset.csv", header, kept)
        _write_csv(folder / "testset_w_refs.csv", header, held)
    return folder


def drawn_folder(task, data, folder, seed=0):
    """Makes a folder of a task whose rows stand in an order that is drawn.

    Loaders take the first rows, and those of E2E are sorted by meaning: its
    first 600 pairs tell of few restaurants.

    Args:
        task: Name of a task, as for `validation_folder`.
        data: Path of the task's own folder.
        folder: Path of the folder to make.
        seed: Integer that the order is drawn with.

    Returns:
        Path of the folder.
    """
    data, folder = pathlib.Path(data), pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES[task]:
        rng = np.random.default_rng(seed)
        if name.endswith(".csv"):
            with (data / name).open(encoding="utf-8", newline="") as file:
                header, *rows = csv.reader(file)
            order = rng.permutation(len(rows))
            _write_csv(folder / name, header, [rows[i] for i in order])
        else:
            lines = (data / name).read_text("utf-8").split("\n")
            lines = [line for line in lines if line.strip()]
            order = rng.permutation(len(lines))
            text = "\n".join([*(lines[i] for i in order), ""])
            _write_whole(folder / name, text)
    return folder


def _split(prompts, rows, num_prompts):
    from keras_irl.tasks.splits import hold_out

    splits = hold_out((prompts, rows), num_prompts)
    return list(splits.training[1]), list(splits.held_out[1])


def _write_csv(path, header, rows):
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    os.replace(partial, path)


def _write_whole(path, text):
    partial = path.with_suffix(".partial")
    partial.write_text(text, "utf-8")
    os.replace(partial, path)
