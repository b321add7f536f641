"""What is measured on an accelerator, in minutes, without a network.

Before, where there is a network, wheels of Keras and keras-hub are collected;
on the machine, which has Python 3.12, JAX and PyTorch, those that it lacks are
installed for this run alone:

    benchmarks/accelerator_wheels.sh .wheels
    python benchmarks/accelerator.py --wheels .wheels

Every job is a process of its own with a time limit, the most important first,
until `--seconds` are over. One has the device at a time; the next imports its
packages meanwhile. What is found is written after each job, to
`accelerator-DEVICE.json` and `.md` in `--output`; the next call runs only what
is missing there, or failed. `--stages peak,steps` runs no other.

`--compile-at-once 5` first runs as many jobs of JAX side by side, for what they
compile alone, which is kept and read again by those that measure: compiling is
what takes the minutes, so `--cache FOLDER` keeps it for the next call. The
sizes of tiles that are the best for all heads are those of the steps after.

    python benchmarks/accelerator.py --rehearse

runs everything at tiny sizes on a processor, in a few minutes.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import NamedTuple

from accelerator_table import best_tiling
from accelerator_table import table
from accelerator_table import tile_lines
from processes import LOCK
from rounds import write_json

HERE = pathlib.Path(__file__).resolve().parent
STAGES = ("peak", "tiles", "rollouts", "steps", "online", "mesh", "others")
# What the steps of the second half are made of, the first half finds.
HALVES = (STAGES[:3], STAGES[3:])
# Of models of this size, one alone is compiled at a time.
LARGE = "gemma-2b"
# With less than this left, a job would only warm up.
LEAST_SECONDS = 15


class Job(NamedTuple):
    """A process that is run for what it prints.

    Attributes:
        stage: One of `STAGES`.
        name: What it measures, on what.
        seconds: How long it may take.
        backend: The backend of Keras.
        command: A script beside this one, and its arguments.
    """

    stage: str
    name: str
    seconds: int
    backend: str
    command: tuple


class Plan(NamedTuple):
    """The sizes of what is measured.

    Attributes:
        matrix_size: Of the square matrices whose product is the peak.
        models: For each model of `architectures.py`, batch and length.
        vocabularies: Entries of the heads that are tiled.
        widths: Their widths.
        num_tokens: Tokens whose loss is tiled.
        sampled: Models that sample, and the batch.
        online: The model that is trained on rollouts.
    """

    matrix_size: int
    models: dict
    vocabularies: tuple
    widths: tuple
    num_tokens: int
    sampled: tuple
    online: str


REAL = Plan(
    matrix_size=8192,
    models={
        "gpt2-124m": (32, 512),
        "t5-base": (32, 512),
        "gemma-2b": (8, 512),
    },
    vocabularies=(32768, 262144),
    widths=(1024, 2048),
    num_tokens=8192,
    sampled=("t5-60m", "gpt2-124m"),
    online="t5-60m",
)
REHEARSAL = Plan(
    matrix_size=256,
    models={"gpt2-mini": (2, 16), "gemma-mini": (2, 16), "t5-mini": (2, 16)},
    vocabularies=(512,),
    widths=(32,),
    num_tokens=64,
    sampled=("t5-mini", "gpt2-mini"),
    online="t5-mini",
)


def jobs(plan, is_rehearsal=False, tiling=None):
    """All jobs, in the order in which they are worth their time.

    Args:
        plan: A `Plan`.
        is_rehearsal: Whether they run on a processor.
        tiling: Block and tile size of the steps; `None` for the default ones.
    """
    steps = 4 if is_rehearsal else 10
    for backend in ("jax", "torch"):
        yield Job(
            "peak",
            f"peak, {backend}",
            60,
            backend,
            ("matrix_rate.py", "--contender", backend, "--dtype", "bfloat16")
            + ("--size", str(plan.matrix_size)),
        )
    yield from _tiles(plan)
    yield from _rollouts(plan)
    tiled = ",".join(map(str, tiling)) if tiling else "default"
    for model, sizes in plan.models.items():
        yield _step("steps", "IQLearn", model, sizes, steps, tiled)
        yield _step("steps", "transformers", model, sizes, steps)
    for model, sizes in plan.models.items():
        stage = "others" if model == LARGE else "steps"
        yield _step(stage, "IQLearn", model, sizes, steps, "plain")
    yield from _online(plan, steps)
    model, sizes = next(iter(plan.models.items()))
    batch = ("--batch-size", str(sizes[0]), "--length", str(sizes[1]))
    command = ("accelerator_mesh.py", "--model", model, *batch)
    yield Job("mesh", f"mesh, {model}", 120, "jax", command)
    for contender in ("MLE", "keras-hub", "trl"):
        for model, sizes in plan.models.items():
            if contender != "trl" or not model.startswith("t5"):
                tiles = tiled if contender == "MLE" else None
                yield _step("others", contender, model, sizes, steps, tiles)
    yield from _online(plan, steps, ("MLE", "GAIL"), "others")


def _step(stage, contender, model, sizes, steps, tiling=None):
    backend = "torch" if contender in ("transformers", "trl") else "jax"
    command = ("training_step.py", "--contender", contender, "--model", model)
    command += ("--steps", str(steps), "--dtypes", "mixed_bfloat16")
    command += ("--batch-size", str(sizes[0]), "--length", str(sizes[1]))
    name = f"step, {model}, {contender}"
    if tiling is not None:
        command += ("--tiling", tiling)
        name += ", plain" * (tiling == "plain")
    return Job(stage, name, 110, backend, command)


def _tiles(plan):
    for vocabulary in plan.vocabularies:
        for width in plan.widths:
            command = ("accelerator_tiles.py", "--vocabulary", str(vocabulary))
            command += ("--width", str(width), "--rounds", "5")
            command += ("--tokens", str(plan.num_tokens))
            name = f"tiles, V = {vocabulary}, D = {width}"
            yield Job("tiles", name, 75, "jax", command)


def _rollouts(plan):
    for model in plan.sampled:
        for contender in ("keras_irl", "transformers"):
            command = ("sampling.py", "--contender", contender)
            command += ("--model", model, "--dtype", "bfloat16")
            command += ("--batches", "1,8,32,256", "--calls", "2")
            backend = "torch" if contender == "transformers" else "jax"
            name = f"rollouts, {model}, {contender}"
            yield Job("rollouts", name, 90, backend, command)


def _online(
    plan, steps, contenders=("IQLearn", "OnlineIQLearn"), stage="online"
):
    for contender in contenders:
        command = ("online_step.py", "--contender", contender)
        command += ("--size", plan.online, "--dtype", "mixed_bfloat16")
        command += ("--batch-size", "32", "--steps", str(steps))
        name = f"online, {plan.online}, {contender}"
        yield Job(stage, name, 90, "jax", command)


class Place(NamedTuple):
    """What jobs have in common.

    Attributes:
        site: Folder of the packages that were missing, or `None`.
        cache: Folder in which JAX keeps what it compiles, or `None`.
        lock: File that a job locks while it has the device, or `None`.
    """

    site: str | None = None
    cache: str | None = None
    lock: str | None = None


def environment(place, backend):
    """What a job is run in: packages that were missing come first."""
    site = place.site
    paths = [*([str(site)] if site else []), str(HERE.parent), str(HERE)]
    paths += [path for path in [os.environ.get("PYTHONPATH")] if path]
    found = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TOKENIZERS_PARALLELISM": "false",
        # Several may be on the device at once, while they compile.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    if place.cache is not None:
        found["JAX_COMPILATION_CACHE_DIR"] = place.cache
        found["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        found["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    if place.lock is not None:
        found[LOCK] = place.lock
    return found


def run(job, seconds, place):
    """Runs a job, and returns what it printed before the time was over."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as e:
        process = subprocess.Popen(
            [sys.executable, str(HERE / job.command[0]), *job.command[1:]],
            stdout=out,
            stderr=e,
            text=True,
            env=environment(place, job.backend),
            # Its children end with it.
            start_new_session=True,
        )
        try:
            status = "done" if process.wait(seconds) == 0 else "failed"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = "out of time"
        out.seek(0)
        e.seek(0)
        found = {
            "stage": job.stage,
            "status": status,
            "wall": round(time.monotonic() - start, 1),
            "lines": json_lines(out.read()),
        }
        if status != "done":
            found["error"] = e.read().strip()[-1500:]
        return found


def json_lines(text):
    """The lines of an output that are JSON objects; others are noise."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return found


def remaining(all_jobs, stages, kept):
    """The jobs of some stages that are not done yet."""
    return [
        job
        for job in all_jobs
        if job.stage in stages
        and kept.get(job.name, {}).get("status") != "done"
    ]


def install(folder, site):
    """Installs the wheels that this Python has no version of."""
    import importlib.metadata

    present = {
        canonical(found.metadata["Name"] or "")
        for found in importlib.metadata.distributions()
    }
    missing = [
        str(wheel)
        for wheel in sorted(pathlib.Path(folder).glob("*.whl"))
        if canonical(wheel.name.partition("-")[0]) not in present
    ]
    if missing:
        command = [sys.executable, "-m", "pip", "install", "--quiet"]
        command += ["--no-index", "--no-deps", "--no-compile", "--target", site]
        subprocess.run([*command, *missing], check=True)
    return [pathlib.Path(wheel).name for wheel in missing]


def canonical(name):
    """The name of a package, as all spellings of it have in common."""
    return re.sub(r"[-_.]+", "-", name).lower()


def describe(site):
    """The device and the versions, found out in a process of its own."""
    code = (
        "import importlib.metadata as m, json, jax, torch\n"
        "names = 'jax torch keras keras-hub transformers trl'.split()\n"
        "have = {x.metadata['Name'] for x in m.distributions()}\n"
        "print(json.dumps({'device': jax.devices()[0].device_kind,\n"
        "  'cuda': torch.cuda.is_available(),\n"
        "  'versions': {x: m.version(x) for x in names if x in have}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment(Place(site), "jax"),
    )
    found = json_lines(done.stdout)
    if not found:
        raise SystemExit(f"JAX or PyTorch fails:\n{done.stderr[-1500:]}")
    return found[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--wheels", help="folder of wheels that are installed if missing")
    add("--output", default=str(HERE / "results"), help="folder of results")
    add("--stages", default=",".join(STAGES))
    add("--seconds", type=int, default=540, help="in all")
    add(
        "--compile-at-once",
        type=int,
        default=0,
        metavar="N",
        help="jobs of JAX that first compile side by side (default: none)",
    )
    add("--cache", help="folder of what is compiled, which the next call reads")
    add("--rehearse", action="store_true", help="tiny, on a processor")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    stages = options.stages.split(",")
    if not set(stages) <= set(STAGES):
        parser.error(f"--stages must be among {', '.join(STAGES)}")
    with tempfile.TemporaryDirectory() as folder:
        site = None
        if options.wheels:
            site = folder
            print("Installed:", *install(options.wheels, site), flush=True)
        measure(options, stages, site, end)


def measure(options, stages, site, end):
    device = describe(site)
    plan = REHEARSAL if options.rehearse else REAL
    name = "rehearsal" if options.rehearse else slug(device["device"])
    path = pathlib.Path(options.output) / f"accelerator-{name}.json"
    report = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if report.get("plan") != json.loads(json.dumps(plan._asdict())):
        report = {"plan": plan._asdict(), "jobs": {}}
    report |= device
    with tempfile.TemporaryDirectory() as folder:
        shared = pathlib.Path(folder)
        place = Place(site, lock=str(shared / "lock"))
        if options.compile_at_once:
            report["is_compiled_before"] = True
            cache = options.cache or str(shared / "compiled")
            place = place._replace(cache=cache)
        for half in HALVES:
            tiling = best_tiling(tile_lines(report))
            todo = remaining(
                list(jobs(plan, options.rehearse, tiling)),
                set(stages) & set(half),
                report["jobs"],
            )
            compile_all(todo, options.compile_at_once, place, end)
            measure_all(todo, place, end, (report, path))
    print(table(report), flush=True)


def compile_all(todo, at_once, place, end):
    """Runs jobs of JAX side by side, for what they leave in the cache."""
    todo = [job for job in todo if job.backend == "jax" and at_once]
    large = threading.Semaphore(1)

    def compile_one(job):
        found = run(job, min(job.seconds, time_left(end)), place)
        return f"Compiled: {job.name}: {found['status']}, {found['wall']} s"

    def one(job):
        if LARGE not in job.name:
            return compile_one(job)
        with large:
            return compile_one(job)

    place = place._replace(lock=None)
    with concurrent.futures.ThreadPoolExecutor(max(1, at_once)) as pool:
        for told in pool.map(one, todo):
            print(told, flush=True)


def measure_all(todo, place, end, report_and_path):
    """Runs jobs one after the other, and keeps what they find.

    Two are started: the second imports its packages while it waits.
    """
    report, path = report_and_path

    def one(job):
        left = time_left(end)
        if left < LEAST_SECONDS:
            return job, None
        return job, run(job, min(left, 2 * job.seconds), place)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for job, found in pool.map(one, todo):
            if found is None:
                print(f"{job.name}: no time is left; run again.", flush=True)
                continue
            report["jobs"][job.name] = found
            write_json(path, report)
            path.with_suffix(".md").write_text(table(report), "utf-8")
            told = f"{found['status']}, {found['wall']} s"
            print(f"{job.name}: {told}", flush=True)


def time_left(end):
    return max(0.0, end - time.monotonic())


def slug(text):
    """A name that a file may have."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


if __name__ == "__main__":
    main()
