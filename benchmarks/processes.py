"""Processes of their own for what is measured, and peers to measure against."""

import importlib
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

# The variable that names the file which who has the device has locked.
LOCK = "KERAS_IRL_BENCHMARK_LOCK"
_held = []
# What takes seconds to import, and needs no device.
MODULES = ("keras", "keras_hub")
PEER_MODULES = ("torch", "transformers")
PEERS = ("torch==2.13.0", "transformers", "trl", "datasets")


class PeakMemory(threading.Thread):
    """Watches the resident set of this process."""

    def __init__(self):
        super().__init__(daemon=True)
        self.start_bytes = self.peak_bytes = self.resident()
        self.runs = True

    def resident(self):
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def run(self):
        while self.runs:
            self.peak_bytes = max(self.peak_bytes, self.resident())
            time.sleep(0.002)

    def stop(self):
        """The largest number of MiB since this was made."""
        self.runs = False
        self.join()
        return self.peak_bytes / 2**20

    def added(self):
        """The same, without what was there before."""
        return self.stop() - self.start_bytes / 2**20


def wait_for_the_device(*modules):
    """Imports modules, and waits until no other process measures.

    Nothing but the import, if nobody has said by `LOCK` that others may. The
    device is held until the process ends.
    """
    if LOCK not in os.environ:
        return
    import fcntl

    for module in modules:
        importlib.import_module(module)
    # Open as long as the process runs, and so is the lock.
    _held.append(open(os.environ[LOCK], "w"))  # noqa: SIM115
    fcntl.flock(_held[-1], fcntl.LOCK_EX)


def python_of_peers(folder):
    """The Python of a virtual environment with the peers, made if need be."""
    python = pathlib.Path(folder) / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *PEERS]
        subprocess.run(install, check=True)
    return str(python)


def measured(name, command, backend, num_threads=None):
    """Runs a command, and reads what it measured from its last line.

    With a number of threads, it runs on as many cores: JAX, TensorFlow and
    PyTorch start a thread for each core they may use.
    """
    environment = {**os.environ, "KERAS_BACKEND": backend}
    cores = sorted(os.sched_getaffinity(0))[:num_threads]
    if num_threads is not None:
        environment["OMP_NUM_THREADS"] = str(len(cores))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if done.returncode:
        print(f"{name} failed: {done.stderr.strip()[-400:]}")
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def versions(*packages):
    """The versions of what is installed beside this Python."""
    return {name: importlib.metadata.version(name) for name in packages}
