"""Where the fuzz suite runs: in a folder of its own, without a network."""

import resource
import socket

import keras
import pytest

_ROOM_BYTES = 8 * 2**30


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """Nothing is downloaded, and what is written lands in a folder of its own.

    A size that no machine holds fails here like on a machine that is full.
    """

    def refuse(*args, **kwargs):
        raise OSError("There is no network here.")

    # Without it, the hub is asked again and again.
    monkeypatch.setenv("KERAS_BACKEND", keras.config.backend())
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + _ROOM_BYTES, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)
