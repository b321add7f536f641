"""The command line as a whole: how it ends, whatever happens."""

import contextlib
import errno
import gc
import os
import re
import signal
import sys
import time

import pytest
from shells import run
from shells import run_forked
from testing import quick_start
from testing import tiny_gpt2

from keras_irl.__main__ import main
from keras_irl.arguments import ArgumentError
from keras_irl.cli import compare
from keras_irl.cli import doctor
from keras_irl.cli import evaluate
from keras_irl.cli import rewards

COMPARE = "compare --task arithmetic --output out".split()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.keras").write_text("")
    (tmp_path / "t.jsonl").write_text("")
    return tmp_path


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """A policy that was saved, and texts to read."""
    folder = tmp_path_factory.mktemp("policies")
    quick_start(tiny_gpt2(max_length=48, num_layers=1)).save(folder / "p.keras")
    rows = ['{"prompt": "1 + 2", "response": "3", "bleu": 1.0}\n'] * 3
    (folder / "t.jsonl").write_text("".join(rows))
    return folder


def job(name, folder):
    small = ["--num-test", "2", "--num-samples", "2", "--output"]
    small += [folder / f"{name}-out", "--policy", folder / "p.keras"]
    if name == "evaluate":
        few = ["--task", "arithmetic", "--decoders", "T=1", *small]
        return ["evaluate", *few, "--batch-size", "4"]
    texts = ["--path", folder / "t.jsonl", "--metric", "bleu"]
    return ["rewards", *texts, *small[4:], "--num-resamples", "20"]


COMMANDS = {
    "compare": (compare, "compare_policies", COMPARE),
    "evaluate": (
        *(evaluate, "evaluate_policies"),
        "evaluate --task arithmetic --policy p.keras --output out".split(),
    ),
    "rewards": (
        *(rewards, "read_rewards"),
        "rewards --path t.jsonl --policy p.keras --output out".split(),
    ),
    "doctor": (doctor, "run", "doctor --task arithmetic".split()),
}


def ended(name, error, monkeypatch, capsys):
    """How a command ends that raises an error, and what it says."""
    module, function, arguments = COMMANDS[name]

    def fail(options):
        raise error

    monkeypatch.setattr(module, function, fail)
    return main(arguments), capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("1.5 TiB"), "not enough memory.*MemoryError: 1.5 TiB"),
        (OverflowError("too large"), "larger than.*OverflowError: too large"),
        (RecursionError("depth"), "larger than.*RecursionError: depth"),
        (RuntimeError("CUDA\nlines"), "library.*Received: RuntimeError: CUDA$"),
        (RuntimeError(), "KERAS_IRL_TRACEBACK=1.*RuntimeError:$"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/x"),
            "No space left.*Make room there.*Received: file='out/x'",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "out/x"),
            "Read-only file system. Pass another.*Received: file='out/x'",
        ),
        (OSError("odd"), "error: odd$"),
        (ValueError("`output`\n is odd."), "error: `output` is odd.$"),
        (
            ArgumentError("`output`\n is odd.", "output"),
            "error: argument --output: `output` is odd.$",
        ),
    ],
)
def test_an_error_is_one_line(here, monkeypatch, capsys, name, error, message):
    if name == "doctor":
        # It has no such flag.
        message = message.replace("argument --output: ", "")
    monkeypatch.delenv("KERAS_IRL_TRACEBACK", raising=False)
    code, told = ended(name, error, monkeypatch, capsys)
    assert code == 2
    assert told.startswith("keras-irl: error: ") and told.count("\n") == 1
    assert re.search(message, told.rstrip("\n"))
    assert not (here / "out").exists()


def test_the_place_of_an_error_is_shown_on_demand(here, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_IRL_TRACEBACK", "1")
    code, told = ended("compare", MemoryError("x"), monkeypatch, capsys)
    assert code == 2
    assert "Traceback" in told and "in fail" in told


def test_a_fault_of_this_library_is_not_hidden(here, monkeypatch, capsys):
    for error in (AttributeError("x"), KeyError("x"), AssertionError("x")):
        with pytest.raises(type(error)):
            ended("compare", error, monkeypatch, capsys)
    assert not (here / "out").exists()


def test_a_backend_that_is_not_installed_is_named(here, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    error = ModuleNotFoundError("No module named 'jax'", name="jax")
    code, told = ended("doctor", error, monkeypatch, capsys)
    assert code == 2
    assert re.search("not installed.*`--backend`.*No module named 'jax'", told)
    other = ModuleNotFoundError("No module named 'x'", name="x")
    with pytest.raises(ModuleNotFoundError):
        ended("doctor", other, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "Interrupted. "),
        (signal.SIGTERM, 143, "Stopped by SIGTERM. "),
        (signal.SIGHUP, 129, "Stopped by SIGHUP. "),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_signals_end_it_alike(
    here, monkeypatch, capsys, name, number, code, word
):
    module, function, arguments = COMMANDS[name]

    def signaled(options):
        os.kill(os.getpid(), number)
        raise AssertionError("Nothing has happened.")

    monkeypatch.setattr(module, function, signaled)
    before = [signal.getsignal(n) for n in (number, signal.SIGALRM)]
    assert main(arguments) == code
    assert [signal.getsignal(n) for n in (number, signal.SIGALRM)] == before
    told = capsys.readouterr().err
    goes_on = name in ("compare", "evaluate")
    rest = "The same command goes on" if goes_on else "Nothing was written"
    assert f"\n{word}{rest}" in told
    assert not (here / "out").exists()


def test_an_interrupt_that_a_library_swallows_comes_again(
    here, monkeypatch, capsys
):
    swallowed = []

    def swallow(options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt as error:
            swallowed.append(error)
        signal.pause()
        raise AssertionError("It did not come again.")

    monkeypatch.setattr(compare, "compare_policies", swallow)
    start = time.perf_counter()
    assert main(COMPARE) == 143
    assert len(swallowed) == 1
    # Soon: Keras drops what is raised while it builds a model.
    assert time.perf_counter() - start < 5.0


def test_an_interrupt_waits_for_the_end_of_a_collection_of_garbage(
    here, monkeypatch, capsys
):
    # As JAX collects its own then: Python prints what such a function raises.
    swallowed = []

    def collect(phase, info):
        if phase == "start":
            signal.raise_signal(signal.SIGTERM)

    def work(options):
        gc.callbacks.append(collect)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(collect)
        signal.sigtimedwait([], 30.0)
        raise AssertionError("It did not come again at once.")

    monkeypatch.setattr(sys, "unraisablehook", swallowed.append)
    monkeypatch.setattr(compare, "compare_policies", work)
    assert main(COMPARE) == 143
    assert swallowed == []


def test_an_interrupt_that_was_swallowed_at_the_end_is_told_of(
    here, monkeypatch, capsys
):
    def swallow(options):
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(compare, "compare_policies", swallow)
    assert main(COMPARE) == 130
    assert "\nInterrupted, after all was done.\n" in capsys.readouterr().err


def test_an_interrupt_does_not_disturb_its_own_cleaning_up(
    here, monkeypatch, capsys
):
    cleaned = []

    def clean(options):
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            signal.sigtimedwait([], 0.5)
            cleaned.append(True)

    monkeypatch.setattr("keras_irl.cli.stopping._AGAIN", 0.1)
    monkeypatch.setattr(compare, "compare_policies", clean)
    assert main(COMPARE) == 130
    assert cleaned == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_imports_ends_it_in_a_line(here, number):
    before = "import os, importlib; importlib.import_module = lambda name: ("
    before += f"os.write(1, b'importing'), os.kill(os.getpid(), {number:d}))"
    code, output, errors = run([*COMPARE, "--output", here / "out"], before)
    assert (code, output) == (128 + number, "importing")
    assert re.fullmatch(r"\n.*, before anything was done\.\n", errors)
    assert not (here / "out").exists()


# A process that sends itself a signal in the midst of some work.
STOPPED = """
import os
def stopping(work):
    def stopped(*args, **named):
        os.kill(os.getpid(), {number})
        return work(*args, **named)
    return stopped
"""
IN_JUDGING = """
from keras_irl.evaluation import sweep as _, ResponseSampler
call = ResponseSampler.__call__
def judge(*args, **named):
    # Behind the answers, before they are kept.
    found = call(*args, **named)
    return stopping(lambda: found)()
ResponseSampler.__call__ = judge
"""
IN_READING = """
from keras_irl.rewards.token_rewards import RewardReader
RewardReader._read = stopping(RewardReader._read)
"""
IN_READING_TEXTS = """
from keras_irl.cli import judged_texts
judged_texts.parse_object = stopping(judged_texts.parse_object)
"""
# Inside of Keras.
IN_LOADING = """
import zipfile
opened = zipfile.ZipFile.open
def open_part(archive, *args, **named):
    ours = str(archive.filename).endswith(".keras")
    return (stopping(opened) if ours else opened)(archive, *args, **named)
zipfile.ZipFile.open = open_part
"""


JUDGED = ["config.yaml", "evaluation.json", "evaluations"]


@pytest.mark.parametrize(
    ("name", "before", "kept", "number"),
    [
        ("evaluate", IN_JUDGING, JUDGED, signal.SIGINT),
        ("evaluate", IN_LOADING, JUDGED, signal.SIGTERM),
        ("rewards", IN_READING, None, signal.SIGTERM),
        ("rewards", IN_READING_TEXTS, None, signal.SIGINT),
        ("rewards", IN_LOADING, None, signal.SIGINT),
    ],
)
def test_reading_and_judging_stop_at_a_signal(
    policies, tmp_path, name, before, kept, number
):
    arguments = job(name, policies)
    out = arguments[arguments.index("--output") + 1] = tmp_path / "out"
    before = STOPPED.format(number=int(number)) + before
    code, _, errors = run_forked(arguments, before)
    assert code == 128 + number
    assert "Traceback" not in errors
    word = "Interrupted" if number == signal.SIGINT else "Stopped by SIGTERM"
    assert re.search(rf"\n{word}\. [^\n]+\n$", errors)
    # The lock is gone too.
    assert (sorted(os.listdir(out)) if out.exists() else None) == kept


# Its output is a pipe that is closed at the other end, in ASCII.
NOBODY_READS = """
import os, sys
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 1)
os.close(writing)
sys.stdout = open(1, "w", encoding="ascii", closefd=False)
"""


@pytest.mark.parametrize("name", ["evaluate", "rewards"])
def test_a_report_is_there_whoever_reads_what_is_printed(policies, name):
    arguments = job(name, policies)
    arguments[arguments.index("--output") + 1] = policies / f"{name}-pipe"
    code, _, errors = run_forked(arguments, NOBODY_READS)
    assert code == 0, errors
    report = (policies / f"{name}-pipe" / "report.md").read_text("utf-8")
    assert not report.isascii()


def test_what_is_printed_to_a_full_disk_is_not_lost_unsaid(here):
    for name, arguments in (("help", ["--help"]), ("compare", COMPARE)):
        before = "import importlib\nfrom keras_irl.cli import compare\n"
        before += "importlib.import_module = lambda name: None\n"
        before += "compare.run = lambda options: print('±') or 0"
        with open("/dev/full", "w") as full:
            code, _, errors = run(arguments, before, stdout=full)
        if name == "compare":
            assert code == 2
            assert "Not all could be printed: No space left" in errors
