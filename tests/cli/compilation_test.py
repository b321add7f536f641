"""JAX compiles as it is told to, and keeps it where the user says so alone."""

import argparse
import os
import subprocess
import sys
import textwrap

import pytest

from keras_irl.__main__ import main
from keras_irl.cli.compilation import use_compilation_cache
from keras_irl.cli.compilation import use_multi_output_fusion
from keras_irl.cli.flags import add_compilation_cache

NAMES = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
)

ADDED = "--xla_backend_extra_options=xla_cpu_use_multi_output_fusion"


@pytest.fixture
def without_cache(monkeypatch):
    for name in NAMES:
        # Set first, so that what a test sets is taken back as well.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_nothing_is_kept_by_default(without_cache):
    parser = argparse.ArgumentParser()
    add_compilation_cache(parser)
    use_compilation_cache(parser.parse_args([]).compilation_cache, "torch")
    assert not any(name in os.environ for name in NAMES)


def test_a_folder_of_the_user_is_told_to_jax(without_cache, tmp_path):
    folder = tmp_path / "not yet there"
    use_compilation_cache(str(folder), None)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(folder)
    assert set(NAMES) <= set(os.environ)


def test_other_backends_keep_nothing(without_cache, tmp_path, capsys):
    command = ["doctor", "--task", "arithmetic", "--backend", "torch"]
    command += ["--compilation-cache", str(tmp_path)]
    assert main(command) == 2
    assert "--backend jax" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="Received: compilation_cache="):
        use_compilation_cache(tmp_path / "file", "jax")


@pytest.mark.slow
def test_a_second_process_compiles_nothing_anew(without_cache, tmp_path):
    pytest.importorskip("jax")
    script = textwrap.dedent(
        """
        import sys
        from keras_irl.cli.compilation import use_compilation_cache
        use_compilation_cache(sys.argv[1], "jax")
        import jax
        import numpy as np
        counts = {"cache_hits": 0, "cache_misses": 0}
        def count(event, **_):
            name = event.rpartition("/")[2]
            if name in counts:
                counts[name] += 1
        jax.monitoring.register_event_listener(count)
        import testing
        import keras_irl
        policy = testing.tiny_gpt2()
        trainer = keras_irl.MLE(policy)
        trainer.compile("adam")
        tokens = np.ones((2, 4), "int32")
        inputs = {"token_ids": tokens, "padding_mask": tokens}
        trainer.fit(inputs, tokens, sample_weight=np.ones((2, 4)), verbose=0)
        print(*counts.values())
        """
    )

    def hits_and_misses():
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "kept")],
            check=True,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "KERAS_BACKEND": "jax",
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
        )
        return tuple(map(int, done.stdout.split()[-2:]))

    hits, misses = hits_and_misses()
    assert misses > 0
    again, anew = hits_and_misses()
    assert anew == 0
    assert again == hits + misses


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
from keras_irl.cli.compilation import use_multi_output_fusion
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
