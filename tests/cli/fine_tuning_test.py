import json

import keras
import numpy as np
import pytest
from testing import numpy

from keras_irl.__main__ import main
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


FINE_TUNED = (
    "compare --task arithmetic --preset gpt2-scratch-tiny --num-train 8 "
    "--objectives mle,iqlearn,gail --value-offset running --lora-rank 2 "
    "--dtype mixed_bfloat16 --rematerialize --accumulation-steps 2 "
    "--optimizer adamw --steps 4 --gail-warm-up-steps 1 --batch-size 2 "
    "--evaluate-every 4 --num-test 2 --num-samples 2 --temperatures 1"
).split()


@pytest.mark.slow
def test_fine_tuned_policies_are_trained_judged_and_rewarded(tmp_path, capsys):
    output = tmp_path / "output"
    command = [*FINE_TUNED, "--output", str(output)]
    assert main(command) == 0
    settings = json.loads((output / "settings.json").read_text())
    expected = {
        "lora_rank": 2,
        "dtype": "mixed_bfloat16",
        "rematerialize": True,
        "accumulation_steps": 2,
        "optimizer": "adamw",
    }
    assert expected.items() <= settings.items()
    report = (output / "report.md").read_text()
    assert "AdamW on 2 batches an update" in report
    policies = output / "policies"
    trainer = keras.saving.load_model(
        policies / "iqlearn-0.keras", compile=False
    )
    assert trainer.policy.backbone.dtype_policy.name == "mixed_bfloat16"
    assert trainer.offset.value_offset == "running"
    assert trainer.value_offset != 0.0
    # Of another policy, nothing is taken up.
    for flags in (["--lora-rank", "3"], ["--dtype", "float32"]):
        assert main([*command, *flags]) == 2
        name = flags[0].removeprefix("--").replace("-", "_")
        assert f"{name}=" in capsys.readouterr().err
    common = ["--task", "arithmetic", "--num-test", "2", "--num-samples", "2"]
    names = ("mle", "iqlearn", "gail")
    saved = [f"{name}={policies / name}-0.keras" for name in names]
    flags = [flag for text in saved for flag in ("--policy", text)]
    judged = ("--decoders", "T=1", "--output", str(tmp_path / "judged"))
    assert main(["evaluate", *common, *flags, *judged]) == 0
    path = str(policies / "iqlearn-0.keras")
    rewarded = ("--policy", path, "--output", str(tmp_path / "rewards"))
    assert main(["rewards", *common, *rewarded]) == 0
    level = f"value offset {trainer.value_offset:g}"
    assert level in (tmp_path / "rewards" / "report.md").read_text()
