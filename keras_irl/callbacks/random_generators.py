"""The random states of a process that no variable of a model holds."""

import random
import sys
from typing import Any

import numpy as np

from keras_irl.keras_seams import global_random_state


def random_states() -> dict[str, Any]:
    """Reads the random generators of Python, NumPy, Keras and PyTorch.

    Layers have seeds of their own, which are variables. What these draw is the
    order of shuffled data, seeds of what is made later and, on PyTorch, dropout
    that nobody gave a seed.

    Returns:
        A dictionary of plain values, which JSON takes.
    """
    # Keras draws the first seed of its own from that of Python.
    keras_state = global_random_state()
    version, numbers, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    key = numpy_state["state"]["key"].tolist()
    state = {
        "python": [version, list(numbers), gauss],
        "numpy": {
            **numpy_state,
            "state": {**numpy_state["state"], "key": key},
        },
        "keras": keras_state,
    }
    # Nobody draws from it who has not imported it.
    torch = sys.modules.get("torch")
    if torch is not None:
        state["torch"] = _hexadecimal(torch.random.get_rng_state())
        if torch.cuda.is_available():
            states = torch.cuda.get_rng_state_all()
            state["torch_cuda"] = [_hexadecimal(each) for each in states]
    return state


def restore_random_states(state: dict[str, Any]) -> None:
    """Puts back what `random_states` has read.

    Args:
        state: What it returned. Generators that are not there, as of another
            number of devices, are left alone.
    """
    global_random_state(state["keras"])
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    numpy_state = state["numpy"]
    key = np.array(numpy_state["state"]["key"], "uint32")
    np.random.set_state(
        {**numpy_state, "state": {**numpy_state["state"], "key": key}}
    )
    torch = sys.modules.get("torch")
    if torch is None or "torch" not in state:
        return
    torch.random.set_rng_state(_bytes(torch, state["torch"]))
    states = state.get("torch_cuda", [])
    if torch.cuda.is_available() and len(states) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([_bytes(torch, each) for each in states])


def _hexadecimal(tensor):
    return tensor.cpu().numpy().tobytes().hex()


def _bytes(torch, text):
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)
