import re

import keras
import numpy as np
import pytest
from testing import numpy
from testing import write_json_lines

from keras_irl.cli import sequence_lengths
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.sequence_lengths import SequenceLengths
from keras_irl.cli.training_flags import DTYPES
from keras_irl.data import load_task
from keras_irl.keras_seams import blocks_of
from keras_irl.models.lora import low_rank_updates
from keras_irl.models.lora import low_rank_variables
from keras_irl.models.rematerialization import is_rematerialized

TRAIN = (["a b", "a b c"], ["d e", "d"])
# Nothing like it is in the training texts, so a letter is a token.
LONG = (["z" * 20], ["y" * 30])


def lengths_of(arguments, *pairs):
    options = parse_arguments(["compare", "--task=e2e", *arguments.split()])
    return SequenceLengths(options, *pairs)


def test_the_longest_texts_fit():
    lengths = []
    for pairs in ((TRAIN, TRAIN), (TRAIN, TRAIN, LONG)):
        of_decoder = lengths_of("--preset gpt2-scratch-tiny", *pairs)
        lengths.append(of_decoder.max_length)
    assert lengths[0] == 8
    # Twenty tokens of the prompt, thirty of the response, one at each end.
    assert lengths[1] == 56


def test_an_encoder_and_its_decoder_have_their_own_lengths():
    made = lengths_of("--preset t5-scratch-tiny", TRAIN, TRAIN)
    policy = made.load_policy(seed=0)
    assert (made.max_prompt_length, made.max_length) == (8, 8)
    assert policy.preprocessor.encoder_sequence_length == 8
    assert policy.preprocessor.decoder_sequence_length == 8
    made = lengths_of(
        "--preset t5-scratch-tiny --max-prompt-length 7 --max-length 9",
        TRAIN,
        TRAIN,
    )
    assert (made.max_prompt_length, made.max_length) == (7, 9)


MANY = [{"prompt": f"say {i}", "response": f"{i} it is"} for i in range(200)]


@pytest.mark.parametrize(
    ("preset", "huge", "remedy"),
    [
        ("gpt2-scratch-tiny", {"response": "z " * 900}, "--max-length {}`, by"),
        ("t5-scratch-tiny", {"response": "z " * 900}, "--max-length {}`, by"),
        (
            "gpt2-scratch-tiny",
            {"prompt": "z " * 900},
            "--max-length {} --on-invalid drop`, which",
        ),
        (
            "t5-scratch-tiny",
            {"prompt": "z " * 900},
            "--max-prompt-length {} --on-invalid drop`, which",
        ),
    ],
)
def test_a_row_that_is_much_longer_is_told_of(
    tmp_path, monkeypatch, preset, huge, remedy
):
    """One row makes all batches as long, or more than any policy reads."""
    rows = [*MANY[:40], MANY[40] | huge, *MANY[41:]]
    write_json_lines(tmp_path, *rows)
    write_json_lines(tmp_path, *MANY[:2], name="test.jsonl")
    pairs = load_task("jsonl", "train", tmp_path).pairs
    flags = f"--preset {preset}"
    place = re.escape(f"{tmp_path}/train.jsonl, line 41: ")
    told = f"99 in 100 need .* Pass `{remedy.format('(8|16)')}"
    told = rf"{place}.* needs 9\d\d tokens.*; {told}"
    with pytest.warns(UserWarning, match=told):
        lengths_of(flags, pairs)
    monkeypatch.setattr(sequence_lengths, "MAX_LENGTH", 512)
    with pytest.raises(
        ValueError,
        match=f"{told}.*Received: '.*of 1800 characters",
    ) as raised:
        lengths_of(flags, pairs)
    name = "max_prompt_length" if "prompt-l" in remedy else "max_length"
    assert raised.value.arguments == (name,)
    # A length that was passed is what somebody wants.
    given = f"{flags} --{name.replace('_', '-')} 16"
    assert vars(lengths_of(given, pairs))[name] == 16


def test_rows_of_lists_are_named_by_their_number(monkeypatch):
    monkeypatch.setattr(sequence_lengths, "MAX_LENGTH", 40)
    with pytest.raises(ValueError, match="Row 0 of the test pairs: "):
        lengths_of("--preset gpt2-scratch-tiny", TRAIN, LONG)


def test_a_task_of_its_first_prompts_is_a_copy():
    task = load_task("arithmetic", "test")
    fewer = task.first(3)
    assert fewer.prompts == task.prompts[:3]
    assert fewer.references == task.references[:3]
    assert len(task.prompts) == 240
    assert fewer.metrics == task.metrics


PAIRS = (["a b", "a b c"], ["d e", "d"])
T5, GPT2 = "--preset t5-scratch-tiny", "--preset gpt2-scratch-tiny"


def policy_of(flags, seed=0):
    options = parse_arguments(["compare", "--task=e2e", *flags.split()])
    return SequenceLengths(options, PAIRS).load_policy(seed)


def test_low_rank_updates_alone_are_trained():
    policy = policy_of(f"{T5} --lora-rank 2")
    trained = {id(variable) for variable in policy.trainable_variables}
    assert trained == {id(v) for v in low_rank_variables(policy)} != set()
    assert {update.a.shape[-1] for update in low_rank_updates(policy)} == {2}


def test_low_rank_updates_follow_from_the_seed():
    flags = f"{GPT2} --lora-rank 2"
    one, same, other = (
        [numpy(v) for v in low_rank_variables(policy_of(flags, seed))]
        for seed in (0, 0, 1)
    )
    for ours, theirs in zip(one, same, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any((a != b).any() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_policy_has_the_dtype_it_was_asked_for(dtype):
    backbone = policy_of(f"{GPT2} --dtype {dtype}").backbone
    assert backbone.dtype_policy.name == dtype
    expected = "bfloat16" if dtype == "bfloat16" else "float32"
    found = {keras.backend.standardize_dtype(v.dtype) for v in backbone.weights}
    assert found == {expected}


def test_the_blocks_are_computed_once_more_if_that_is_asked_for():
    for flag, expected in (("", False), ("--rematerialize", True)):
        policy = policy_of(f"{GPT2} {flag}")
        blocks = blocks_of(policy.backbone, ("transformer_layers",))
        assert blocks
        assert {is_rematerialized(block) for block in blocks} == {expected}
