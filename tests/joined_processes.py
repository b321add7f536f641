"""Runs a script as several processes of one training, each with devices."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import shells

HERE = pathlib.Path(__file__).parent / "distribution"
SECONDS = 400


def run_both(script, folder, num_devices, *arguments):
    """Runs two processes with half of the devices each.

    Args:
        script: File name of a script beside the tests of distribution, which
            takes the number of its process, that of all, a port and a folder,
            and writes what it saw to `<number>.json` in that folder.
        folder: A `pathlib.Path`.
        num_devices: Of both.
        *arguments: What the script takes besides.

    Returns:
        Two lists: what each saw, and what it printed.
    """
    port = free_port()
    flags = os.environ.get("XLA_FLAGS", "").split()
    flags = [flag for flag in flags if "device_count" not in flag]
    flags.append(f"--xla_force_host_platform_device_count={num_devices // 2}")
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, str(HERE / script)),
                *map(str, (number, 2, port, folder, *arguments)),
            ],
            cwd=HERE.parents[1],
            env=shells.environment(
                XLA_FLAGS=" ".join(flags), KERAS_BACKEND="jax"
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    try:
        printed = [p.communicate(timeout=SECONDS)[0] for p in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(p.returncode == 0 for p in processes), "\n".join(printed)[-9000:]
    saw = [json.loads((folder / f"{i}.json").read_text()) for i in range(2)]
    return saw, printed


def free_port():
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return found.getsockname()[1]
