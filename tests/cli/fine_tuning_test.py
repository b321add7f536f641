import keras
import numpy as np
import pytest
from testing import numpy

from keras_irl.cli.fine_tuning import DTYPES
from keras_irl.cli.fine_tuning import start_from
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.sequence_lengths import SequenceLengths
from keras_irl.keras_seams import blocks_of
from keras_irl.models.lora import low_rank_updates
from keras_irl.models.lora import low_rank_variables
from keras_irl.models.rematerialization import is_rematerialized

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


def test_a_policy_goes_on_from_what_low_rank_updates_were_added_to():
    policy, trained = policy_of(f"{GPT2} --lora-rank 2"), policy_of(GPT2, 1)
    start_from(policy, trained)
    tokens = policy.preprocessor.generate_preprocess(["a b"])
    np.testing.assert_allclose(
        numpy(policy(tokens)), numpy(trained(tokens)), rtol=1e-5, atol=1e-6
    )
