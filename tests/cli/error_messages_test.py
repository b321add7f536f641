"""What users are told of errors, and which are no fault of a file."""

import argparse
import errno
import os
import tempfile

import keras
import pytest

from keras_irl.arguments import ArgumentError
from keras_irl.cli.error_messages import explain
from keras_irl.cli.run_folder import RunFolder
from keras_irl.cli.saved_policies import load_saved


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_from_a_damaged_policy(
    tmp_path, monkeypatch, number
):
    def fill(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    folder = RunFolder(tmp_path / "output", {})
    path = folder.policy_path("mle", 0)
    path.write_bytes(b"a policy")
    monkeypatch.setattr(keras.saving, "load_model", fill)
    for read in (
        lambda: load_saved(path),
        lambda: folder.saved_policy("mle", 0),
    ):
        with pytest.raises(OSError) as found:
            read()
        assert found.value.errno == number
        assert found.value.filename == tempfile.gettempdir()
    assert path.read_bytes() == b"a policy"


def test_too_little_memory_is_told_from_a_damaged_policy(tmp_path, monkeypatch):
    def fill(*args, **kwargs):
        raise MemoryError

    folder = RunFolder(tmp_path / "output", {})
    path = folder.policy_path("mle", 0)
    path.write_bytes(b"a policy")
    monkeypatch.setattr(keras.saving, "load_model", fill)
    with pytest.raises(MemoryError):
        load_saved(path)
    with pytest.raises(MemoryError):
        folder.saved_policy("mle", 0)


@pytest.mark.backends("tensorflow")
def test_too_little_memory_is_recognized_in_tensorflow():
    import tensorflow as tf

    options = argparse.Namespace(job="doctor")
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
    assert explain(error, options) == (
        "The machine has not enough memory for it. Pass a smaller "
        "`--batch-size`, or other smaller numbers. To see where, set "
        "KERAS_IRL_TRACEBACK=1. Received: ResourceExhaustedError: OOM when "
        "allocating"
    )
    error = tf.errors.UnimplementedError(None, None, "no such kernel")
    assert explain(error, options) is None


def test_a_damaged_policy_is_still_one(tmp_path):
    folder = RunFolder(tmp_path / "output", {})
    path = folder.policy_path("mle", 0)
    path.write_bytes(b"a policy")
    with pytest.raises(ValueError, match="Keras could not load this file"):
        load_saved(path)
    with pytest.raises(ValueError, match="is damaged.*Delete it"):
        folder.saved_policy("mle", 0)


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        (["max_length"], "argument --max-length: "),
        (["sequence_length"], "argument --max-length: "),
        (["encoder_sequence_length"], "argument --max-prompt-length: "),
        (
            ["max_prompt_length", "max_length"],
            "argument --max-prompt-length or --max-length: ",
        ),
        (["unknown", "max_length"], "argument --max-length: "),
        (["unknown"], ""),
        ([], ""),
    ],
)
def test_the_flags_of_the_arguments_are_named(arguments, flags):
    options = argparse.Namespace(
        job="doctor", max_length=3, max_prompt_length=None
    )
    error = ArgumentError("It is\n long.  Received: it", *arguments)
    assert explain(error, options) == f"{flags}It is long. Received: it"
