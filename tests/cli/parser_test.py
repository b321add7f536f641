import inspect
import os
import re
import subprocess
import sys
import textwrap

import pytest

from keras_irl.__main__ import main
from keras_irl.cli.decoders import all_specs
from keras_irl.cli.flags import TASKS
from keras_irl.cli.flags import TOKENIZERS
from keras_irl.cli.objectives import DIVERGENCES
from keras_irl.cli.objectives import OBJECTIVES
from keras_irl.cli.objectives import REWARD_FORMS
from keras_irl.cli.parser import parse_arguments
from keras_irl.evaluation import sweep
from keras_irl.evaluation.sweeps import TEMPERATURES
from keras_irl.losses.divergences import check_divergence
from keras_irl.metrics import word_tokenizers
from keras_irl.tasks import loading


def help_of(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as exit_code:
        main([command, "--help"])
    assert exit_code.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "num_flags"),
    [("compare", 20), ("evaluate", 15), ("generate", 10), ("train", 20)],
)
def test_every_flag_has_a_help_line(command, num_flags, capsys, monkeypatch):
    text = help_of(command, capsys, monkeypatch)
    _, *entries = re.split(r"\n  (?=-)", text.partition("\n\n")[2])
    assert len(entries) > num_flags
    for entry in entries:
        flag, *text = re.split(r"\s{2,}", entry.partition("\n\n")[0].strip())
        text = re.sub(r"\(default: .*\)", "", " ".join(text)).strip()
        assert len(text) > 4, flag


def test_the_help_names_every_task_and_objective(capsys, monkeypatch):
    text = help_of("compare", capsys, monkeypatch)
    for name in (
        *TASKS,
        *OBJECTIVES,
        *DIVERGENCES,
        "t5-",
        "gpt2-",
        "bart-scratch-",
    ):
        assert name in text


def test_the_names_in_the_help_are_those_there_are():
    assert set(TASKS) == set(loading.TASKS)
    for name in DIVERGENCES:
        check_divergence(name)
    with pytest.raises(ValueError, match=f"of {', '.join(DIVERGENCES)}[.]"):
        check_divergence("kl")


def test_lists_have_defaults():
    options = parse_arguments("compare --task arithmetic".split())
    assert options.objectives == ["mle", "iqlearn"]
    assert options.td_weight == [0.1]
    assert options.temperatures == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert options.tokenize == "13a"


def test_policies_are_judged_at_five_temperatures_unless_told_otherwise():
    options = parse_arguments("evaluate --task e2e --policy a".split())
    specs = all_specs(options.temperatures, options.decoders)
    names = [text for text, *_ in specs]
    assert names == "greedy T=0.25 T=0.5 T=0.75 T=1 T=1.25".split()
    assert TEMPERATURES == (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    assert inspect.signature(sweep).parameters["temperatures"].default is None


@pytest.mark.parametrize("command", ["compare", "evaluate --policy a"])
def test_words_are_separated_as_the_command_says(command):
    arguments = f"{command} --task jsonl --tokenize ja-mecab".split()
    assert parse_arguments(arguments).tokenize == "ja-mecab"
    assert TOKENIZERS == word_tokenizers.TOKENIZERS


def test_help_comes_without_importing_keras():
    code = """
        import sys
        from keras_irl.__main__ import main
        try:
            main(["compare", "--help"])
        finally:
            slow = {"keras", "keras_hub", "numpy", "matplotlib"}
            print("imported:", sorted(slow & sys.modules.keys()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("imported: []\n")


def test_lists_are_separated_by_commas():
    options = parse_arguments(
        "compare --task jsonl --objectives mle,iqlearn --td-weight 0,0.5 "
        "--temperatures 0,1,".split()
    )
    assert options.objectives == ["mle", "iqlearn"]
    assert options.td_weight == [0.0, 0.5]
    assert options.temperatures == [0.0, 1.0]


# Flags of `compare` that hold a number: what they refuse, and what they take.
WHOLE = {
    "--num-train": ("0", "1", 2**31 - 1),
    "--num-test": ("0", "1", 2**31 - 1),
    "--num-validation": ("-1", "0", 2**31 - 1),
    "--num-samples": ("0", "1", 2**20),
    "--num-rollouts": ("0", "1", 2**20),
    "--steps": ("0", "1", 2**31 - 1),
    "--gail-steps": ("0", "1", 2**31 - 1),
    "--seeds": ("0", "1", 2**20),
    "--batch-size": ("0", "1", 2**20),
    "--max-length": ("0", "1", 2**20),
    "--max-prompt-length": ("0", "1", 2**20),
    "--evaluate-every": ("0", "1", 2**31 - 1),
    "--td-warm-up-steps": ("-1", "0", 2**31 - 1),
    "--gail-warm-up-steps": ("-1", "0", 2**31 - 1),
    "--learning-rate-warm-up": ("-1", "0", 2**31 - 1),
    "--accumulation-steps": ("0", "1", 2**31 - 1),
    "--lora-rank": ("0", "1", 2**20),
}
REAL = {
    "--learning-rate": ("0", "1e-9", 3.4e38),
    "--gail-learning-rate": ("0", "1e-9", 3.4e38),
    "--final-learning-rate": ("-0.1", "0", 1.0),
    "--discount": ("-0.1", "0", 1.0),
    "--mix-in": ("-0.1", "0", 0.999),
    "--entropy-weight": ("-0.1", "0", 3.4e38),
    "--mle-weight": ("-0.1", "0", 3.4e38),
    "--td-weight": ("-0.1", "0", 3.4e38),
    "--temperatures": ("-0.1", "0", 1e30),
    "--value-offset": ("-1e39", "-20", 3.4e38),
    "--value-offset-decay": ("-0.1", "0", 0.999),
    "--weight-decay": ("-0.1", "0", 3.4e38),
}
LISTS = ("--td-weight", "--temperatures", "--value-offset")


def flag_value(flag, text):
    """What the command line makes of a flag."""
    arguments = ["compare", "--task=e2e", f"{flag}={text}"]
    name = flag.removeprefix("--").replace("-", "_")
    return vars(parse_arguments(arguments))[name]


@pytest.mark.parametrize("flag", [*WHOLE, *REAL])
def test_every_number_is_checked_when_it_is_read(flag, capsys):
    too_small, least, most = {**WHOLE, **REAL}[flag]
    kind = int if flag in WHOLE else float
    for text in (least, str(most)):
        expected = [kind(text)] if flag in LISTS else kind(text)
        assert flag_value(flag, text) == expected
    beyond = str(most + 1) if flag in WHOLE else repr(most * 1.01)
    wrong = ["nan", "inf", "-inf", "1e999", "9" * 401, "", " ", "many", "1;2"]
    wrong += [too_small, beyond, *["1e9", "0.5"] * (flag in WHOLE)]
    for text in wrong:
        with pytest.raises(SystemExit) as exit_code:
            flag_value(flag, text)
        assert exit_code.value.code == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert f"argument {flag}: " in line
        shown = text if len(text) < 60 else f"{text[:60]}... of 401 characters"
        assert line.endswith(f"Received: {shown}".rstrip()) or not text.strip()


def test_bounds_are_told(capsys):
    for flag, text, bound in (
        ("--max-length", "1000000000", "at least 1 and at most 1048576"),
        ("--steps", "3000000000", "at most 2147483647"),
        ("--gail-learning-rate", "0", "above 0 and at most 3.4e"),
        ("--mix-in", "1", "at least 0 and below 1 is"),
        ("--decoders", "beam=1000000000", "at most 10000"),
        ("--decoders", "T=1e39", "at most 1e+30"),
    ):
        with pytest.raises(SystemExit):
            flag_value(flag, text)
        assert bound in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (command, flag)
        for command, flags in {
            "doctor --task=e2e": "max-prompt-length max-length batch-size",
            "evaluate --task=e2e --policy=p": "max-prompt-length max-length "
            "batch-size num-samples seeds",
            "rewards --policy=p": "max-prompt-length max-length batch-size "
            "num-samples",
        }.items()
        for flag in flags.split()
    ],
)
def test_sizes_of_all_commands_have_a_bound(command, flag, capsys):
    name = flag.replace("-", "_")
    options = parse_arguments([*command.split(), f"--{flag}=1048576"])
    assert vars(options)[name] == 2**20
    for text in ("1048577", "1000000000000", "9" * 401):
        with pytest.raises(SystemExit):
            parse_arguments([*command.split(), f"--{flag}={text}"])
        assert "at most 1048576 is needed. Re" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "text", "twice"),
    [
        ("--td-weight", "0.1,0.1", "0.1"),
        ("--td-weight", "0.1,0.2,1e-1", "1e-1"),
        ("--value-offset", "0,-0", "-0"),
        ("--value-offset", "auto,1,auto", "auto"),
        ("--temperatures", "1,1.0", "1.0"),
        ("--objectives", "mle,iqlearn,mle", "mle"),
    ],
)
def test_equal_values_of_a_list_are_refused(flag, text, twice, capsys):
    with pytest.raises(SystemExit):
        flag_value(flag, text)
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"{twice} stands there twice. Received: {text}" in line


@pytest.mark.parametrize(
    "text", ["0.1,0.1000000001", "0.3,0.30000000000000004"]
)
def test_numbers_that_no_weight_tells_apart_are_equal(text, capsys):
    with pytest.raises(SystemExit):
        flag_value("--td-weight", text)
    assert "stands there twice" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["1e-50", "1e-400", "-1e-50"])
def test_a_number_that_devices_flush_to_zero_is_refused(text, capsys):
    with pytest.raises(SystemExit):
        flag_value("--learning-rate", text)
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"Received: {text}" in line


def test_numbers_that_are_nearly_equal_stay_apart():
    assert flag_value("--td-weight", "0.1,0.1000001") == [0.1, 0.1000001]
    offsets = flag_value("--value-offset", "-20,auto,running,running_last")
    assert offsets == [-20.0, "auto", "running", "running_last"]


@pytest.mark.parametrize(
    ("flag", "text", "choices"),
    [
        ("--objectives", "mle,dagger", OBJECTIVES),
        ("--divergence", "kl", DIVERGENCES),
        ("--reward-form", "tanh", REWARD_FORMS),
        ("--keep", "first", ("best", "last")),
    ],
)
def test_other_words_are_refused_with_those_there_are(
    flag, text, choices, capsys
):
    for word in choices:
        expected = [word] if flag == "--objectives" else word
        assert flag_value(flag, word) == expected
    with pytest.raises(SystemExit):
        flag_value(flag, text)
    line = capsys.readouterr().err.splitlines()[-1]
    assert ", ".join(choices) in line
    assert line.endswith(f"Received: {text.split(',')[-1]}")


def test_the_help_tells_defaults_of_0(capsys, monkeypatch):
    text = help_of("compare", capsys, monkeypatch)
    assert re.search(r"--td-warm-up-steps N[^-]*\n?.*\(default: 0\)", text)
    assert re.search(r"--mle-weight NUMBER.*\(default: 0.0\)", text)


def test_the_arguments_are_kept_for_reports():
    arguments = ["compare", "--task", "jsonl", "--path", "a b.jsonl"]
    assert parse_arguments(arguments).arguments == arguments


_COUNTS = {
    "evaluate --task e2e --policy a": {
        "--num-samples": 2**20,
        "--num-resamples": 100_000,
        "--max-length": 2**20,
        "--max-prompt-length": 2**20,
        "--batch-size": 2**20,
        "--seeds": 2**20,
        "--num-test": 2**31 - 1,
    },
    "rewards --policy a": {
        "--num-samples": 2**20,
        "--num-resamples": 100_000,
        "--max-length": 2**20,
        "--max-prompt-length": 2**20,
        "--batch-size": 2**20,
        "--num-test": 2**31 - 1,
        "--max-texts": 2**31 - 1,
        "--seed": 2**31 - 1,
    },
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: command"),
        ("fit", "choose from"),
        ("train --objective iq", "--objective: .*mle.*Received: iq"),
        ("generate --policy a", "required: --prompts"),
        ("generate --policy a --prompts b --decoder T=1,T=2", "one is needed"),
        ("compare --task jsonl --metrics belu", "did you mean bleu.*: belu"),
        ("compare --task jsonl --metrics a:b-c", "MODULE:FUNCTION.*: a:b-c"),
        ("compare --task e2e --steps 0", "--steps: .*at least 1.*Received: 0"),
        (
            "compare --task e2e --batch-size many",
            "--batch-size: a whole number.*Received: many",
        ),
        (
            "compare --task e2e --td-weight heavy",
            "--td-weight: a number.*Received: heavy",
        ),
        (
            "compare --task e2e --temperatures hot",
            "--temperatures: a number.*Received: hot",
        ),
        ("compare --task e2e --discount some", "--discount: .*some"),
        (
            "compare --task e2e --td-warm-up-steps -1",
            "--td-warm-up-steps: .*Received: -1",
        ),
        (
            "compare --task e2e --backend mxnet",
            "'mxnet'.*jax.*tensorflow.*torch",
        ),
        ("compare --task e2e --on-invalid keep", "'keep'.*raise.*drop"),
        ("compare --task e2e --tokenize thai", "'thai'.*13a.*ja-mecab"),
        ("rewards --policy a --tokenize thai", "'thai'.*13a.*ja-mecab"),
        ("evaluate --task e2e", "required: --policy"),
        (
            "evaluate --task e2e --policy a --num-resamples 1",
            "--num-resamples: .*at least 2.*Received: 1",
        ),
        ("rewards", "required: --policy"),
        ("rewards --policy a --num-resamples 1", "at least 2.*Received: 1"),
        ("rewards --policy a --seed -1", "--seed: .*at least 0.*Received: -1"),
        ("rewards --policy a --max-texts 0", "--max-texts: .*Received: 0"),
        ("rewards --policy a --batch-size 0", "--batch-size: .*Received: 0"),
        ("rewards --policy a --backend mxnet", "'mxnet'.*jax"),
        *(
            (f"{command} {flag} {number}", f"{flag}: .*at most {most}.*Receiv")
            for command, flags in _COUNTS.items()
            for flag, most in flags.items()
            for number in ("1000000000000", "1e12", "1" * 400, "nan", "-1")
        ),
        *(
            (f"rewards --policy a {flag}={number}", f"{flag}: {told}.*Receiv")
            for flag, told, wrong in (
                ("--discount", "a number at least 0 and at most 1 ", "1.01"),
                ("--temperature", "a number at least 0 and at most 1e", "-0.5"),
                ("--value-offset", "a number at least -3.4e.38 and", "-1e39"),
            )
            for number in (wrong, "nan", "inf", "-inf", "1e39", "1e400", "x")
        ),
        *(
            (
                f"{command} --task e2e --decoders {decoder}",
                f"--decoders: .* is needed. Received: {number} in "
                + re.escape(decoder),
            )
            for command in ("compare", "evaluate --policy a")
            for decoder, number in (
                ("T=-1", "-1"),
                ("beam=0", "0"),
                ("top-p=2", "2"),
                ("T=1+top-k=0", "0"),
            )
        ),
        (
            "evaluate --task e2e --policy a --decoders nucleus",
            "--decoders: a decoder is such as greedy.*Received: nucleus",
        ),
    ],
)
def test_wrong_flags_are_refused_in_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_code:
        main(arguments.split())
    assert exit_code.value.code == 2
    output = capsys.readouterr()
    assert not output.out
    line = output.err.splitlines()[-1]
    assert re.match(r"keras-irl( [a-z]+)?: error: ", line)
    assert re.search(message, line)
