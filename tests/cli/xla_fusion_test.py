import os
import subprocess
import sys

import pytest

from keras_irl.cli.xla_fusion import use_multi_output_fusion

ADDED = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ADDED),
        ("", ADDED),
        ("--xla_a=b", f"--xla_a=b {ADDED}"),
        (ADDED, ADDED),
        (
            "--xla_backend_extra_options=xla_cpu_optimize_for_size",
            "--xla_backend_extra_options=xla_cpu_optimize_for_size",
        ),
    ],
)
def test_adds_the_option_to_those_of_the_user(before, after, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if before is not None:
        monkeypatch.setenv("XLA_FLAGS", before)
    use_multi_output_fusion()
    assert os.environ["XLA_FLAGS"] == after


def test_running_sums_are_computed_once():
    # As of the gradients of later layers: each is 4 sums, or 1 + 2 + 3 + 4.
    code = """
from keras_irl.cli.xla_fusion import use_multi_output_fusion
use_multi_output_fusion()
import itertools, jax, jax.numpy as jnp
f = jax.jit(lambda x: [2.0 * y for y in itertools.accumulate(x)])
xs = [jnp.ones((256, 256)) for _ in range(5)]
print(f.lower(xs).compile().as_text().count(" add("))
"""
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == ["4"]
