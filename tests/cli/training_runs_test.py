import json

import keras
import numpy as np
import pytest
from testing import numpy
from testing import write_json_lines

from keras_irl.__main__ import main
from keras_irl.cli import training_runs
from keras_irl.cli.compare import compare_policies
from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.sequence_lengths import SequenceLengths
from keras_irl.cli.training_runs import TrainingRuns
from keras_irl.cli.training_runs import start_from
from keras_irl.data import load_task
from keras_irl.generation import Sampling


def refuse(*args, **kwargs):
    raise AssertionError("Something heavy has begun.")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def size(responses, references):\n    return None", "nor one for"),
        ("def size(responses):\n    return 1.0", "failed: TypeError"),
        ("", "There is no 'size'"),
    ],
)
def test_a_metric_that_judges_nothing_is_refused_before_the_policy_is_made(
    tmp_path, monkeypatch, code, message
):
    rows = [{"prompt": text, "response": text} for text in "abc"]
    write_json_lines(tmp_path, *rows, name="my.jsonl")
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.setattr(training_runs, "SequenceLengths", refuse)
    options = parse_arguments(
        [
            *("compare", "--task=jsonl", f"--path={tmp_path / 'my.jsonl'}"),
            *("--metrics", f"bleu,{tmp_path / 'mine.py'}:size"),
            f"--output={tmp_path / 'out'}",
        ]
    )
    with pytest.raises(ValueError, match=f"{message}.*Received: metrics="):
        compare_policies(options)
    assert not (tmp_path / "out").exists()


GREEDY = Sampling(0.0)


def test_a_run_that_was_not_judged_is_not_whole():
    unjudged = {
        **{"seed": 0, "rows": [], "samples": [], "best_step": 1},
        **{"negative_log_likelihood": 1.0, "kept_step": 1},
        "best_negative_log_likelihood": 1.0,
        "history": {"step": [1], "negative_log_likelihood": [1.0]},
    }
    whole = object.__new__(TrainingRuns)
    whole.options = parse_arguments(["compare", "--task=arithmetic"])
    whole.test_task, whole.decoders = load_task("arithmetic", "test"), [GREEDY]
    with pytest.raises(ValueError, match=r"rows is no list of 1 .*Received: 0"):
        whole.check_whole(unjudged, "mle", 0)
    failed = {
        **dict.fromkeys(("problem", "policy"), ""),
        **dict.fromkeys(("step", "kept_step", "learning_rate"), 1),
        "settings": {},
    }
    failed = {"seed": 0, "rows": [], "samples": [], "failed": failed}
    whole.check_whole(failed, "mle", 0)


PAIRS = (["a b", "a b c"], ["d e", "d"])
GPT2 = "--preset gpt2-scratch-tiny"


def policy_of(flags, seed=0):
    options = parse_arguments(["compare", "--task=e2e", *flags.split()])
    return SequenceLengths(options, PAIRS).load_policy(seed)


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
