import inspect
import os
import re
import subprocess
import sys
import textwrap

import pytest

from keras_irl.__main__ import main
from keras_irl.commands.arguments import parse_arguments
from keras_irl.commands.objective_arguments import DIVERGENCES
from keras_irl.commands.objective_arguments import OBJECTIVES
from keras_irl.commands.task_arguments import TASKS
from keras_irl.commands.task_arguments import TOKENIZERS
from keras_irl.data import tasks
from keras_irl.evaluation import sweep
from keras_irl.evaluation import word_tokenizers
from keras_irl.losses.divergences import check_divergence


def help_of(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as exit_code:
        main([command, "--help"])
    assert exit_code.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "num_flags"),
    [("compare", 20), ("evaluate", 15), ("rewards", 15)],
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
    assert set(TASKS) == set(tasks.TASKS)
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
    names = [text for text, *_ in options.decoders]
    assert names == "greedy T=0.25 T=0.5 T=0.75 T=1 T=1.25".split()
    parameters = inspect.signature(sweep).parameters
    expected = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
    assert parameters["temperatures"].default == expected


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: command"),
        ("train", "choose from"),
        ("compare", "required: --task"),
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
    assert re.match(r"keras-irl( compare| evaluate| rewards)?: error: ", line)
    assert re.search(message, line)
