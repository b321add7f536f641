"""Every flag of every command survives whatever it is given."""

import argparse
import contextlib
import io
import json
import pathlib

import pytest
from harness import Door
from harness import fuzz
from hypothesis import strategies as st
from testing import quick_start
from testing import tiny_gpt2
from values import TEXTS

import keras_irl
from keras_irl.__main__ import main
from keras_irl.cli.parser import parse_arguments

NUMBERS = st.sampled_from(
    (
        *("0", "1", "2", "-1", "3", "0.5", "-0.5", "1e9", "1e400", "-1e400"),
        *("nan", "inf", "-inf", "1e-320", "1" * 401, "-" + "9" * 401, "1_0"),
        *("1e12", "2147483648", "4294967296", "99999999999999999999", "0x10"),
        *(" 2", "2 ", "+2", "٣", "²", "1,2", "0.1,0.1", "0.1,nan", ",", "1,,2"),
        *("1.0", "1e0", "1e5", "None", "True", "auto", "all", "-", "--", "-x"),
    )
)
WORDS = st.sampled_from(
    (
        *("mle", "iqlearn", "mle,gail", "mle,mle", "chi2", "softplus", "jsonl"),
        *("arithmetic", "gsm8k", "train", "test", "bleu", "f1", "greedy"),
        *("T=0.5", "beam=2", "beam=1e9", "top-k=0", "top-p=2", "T=0.7+top-p=1"),
        *("torch", "a=b", "=", "=x", "x=", "nowhere.keras", "/dev/null", "..."),
        *(".", "/proc/self/none", "~", "caf\udce9", "a\nb", "\u202ex"),
    )
)
ARGUMENTS = st.one_of(NUMBERS, NUMBERS, WORDS, TEXTS)
# Argparse's own words for what it never handed to us.
OWN_WORDS = (
    *("invalid choice", "expected one argument", "unrecognized arguments"),
    *("required", "ambiguous option", "ignored explicit argument"),
)


class UsageError(ValueError):
    """What the command line said before it exited."""


def commands():
    """The parser of each command."""
    found = []

    def keep(self, *args, **kwargs):
        found.append(self)
        raise UsageError

    before = argparse.ArgumentParser.parse_args
    argparse.ArgumentParser.parse_args = keep
    try:
        with contextlib.suppress(UsageError):
            parse_arguments([])
    finally:
        argparse.ArgumentParser.parse_args = before
    (parser,) = found
    (choices,) = (
        action.choices
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return choices


def flags(name):
    for action in commands()[name]._actions:
        if action.option_strings and action.dest != "help":
            yield action.option_strings[-1], action.nargs != 0


# What a command needs besides.
NEEDED = {
    "compare": ["--task", "arithmetic"],
    "doctor": ["--task", "arithmetic"],
    "evaluate": ["--task", "arithmetic", "--policy", "a=b.keras"],
    "generate": ["--policy", "b.keras", "--prompts", "p.jsonl"],
    "rewards": ["--policy", "b.keras", "--path", "texts.jsonl"],
    "train": ["--path", "my.jsonl"],
}
FLAGS = [
    (command, flag, takes)
    for command in commands()
    for flag, takes in flags(command)
]


def said(function, arguments):
    """What a command line returned; what it said is an error."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            code = function(arguments)
        except SystemExit as error:
            code = error.code
    text = errors.getvalue()
    if code == 2:
        message = (
            text[text.rindex(" error: ") :] if " error: " in text else text
        )
        if any(words in message for words in OWN_WORDS):
            message += " Received: what argparse shows"
        raise UsageError(message)
    return code


def test_every_command_is_known():
    assert commands().keys() == NEEDED.keys()


@pytest.mark.parametrize(("command", "flag", "takes"), FLAGS)
def test_any_argument_is_parsed_or_refused(command, flag, takes):
    def parse(text):
        given = [f"{flag}={text}"] if takes else [flag, text]
        return said(parse_arguments, [command, *NEEDED[command], *given])

    def check(options, arguments):
        assert isinstance(options, argparse.Namespace)
        for value in vars(options).values():
            if isinstance(value, float):
                assert value == value, f"NaN from {arguments}"

    door = Door(
        call=parse,
        values={"text": ARGUMENTS},
        check=check,
        spoils=False,
        strict=False,
        share=0.5,
    )
    findings = fuzz(f"{command} {flag}", door)
    assert not findings.by_kind, findings.report(flag)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A policy that was saved, and a file of texts."""
    folder = tmp_path_factory.mktemp("commands")
    trainer = keras_irl.IQLearn(quick_start(tiny_gpt2()))
    trainer.compile("sgd")
    trainer.save(folder / "policy.keras")
    rows = [
        {"prompt": prompt, "response": f"a {prompt}", "right": number}
        for number, prompt in enumerate(("one", "two", "three", "six", "ten"))
    ]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows[:2])))
    return folder


# Small enough to run, as often as flags are wrong.
TINY = {
    "compare": (
        "--task jsonl --path {folder} --preset gpt2-scratch-tiny --steps 1 "
        "--num-test 1 --temperatures 0 --max-length 24 --objectives mle "
        "--batch-size 2 --num-samples 2"
    ),
    "doctor": (
        "--task jsonl --path {folder} --preset gpt2-scratch-tiny "
        "--max-length 24 --batch-size 2"
    ),
    "evaluate": (
        "--task jsonl --path {folder} --policy a={folder}/policy.keras "
        "--num-test 1 --decoders greedy --num-samples 2 --num-resamples 5"
    ),
    "generate": (
        "--policy {folder}/policy.keras --prompts {folder}/test.jsonl "
        "--batch-size 2 --overwrite"
    ),
    "rewards": (
        "--policy {folder}/policy.keras --path {folder}/train.jsonl "
        "--metric right --num-resamples 5 --max-texts 2"
    ),
}
# How often something is done: what is allowed, and takes for ever, is no error.
ITERATED = {
    *("--steps", "--seeds", "--num-samples", "--num-resamples", "--num-test"),
    *("--gail-steps", "--max-length", "--batch-size", "--num-rollouts"),
    *("--max-texts", "--max-prompt-length", "--num-train"),
}
LONG = ("1e5", "1e9", "2147483648")
SHARES = {
    "compare": 0.1,
    "doctor": 0.15,
    "evaluate": 0.1,
    "generate": 0.1,
    "rewards": 0.2,
}


@pytest.mark.parametrize("command", TINY)
def test_any_command_works_or_says_what_it_received(command, folder):
    names = [flag for flag, takes in flags(command) if takes]
    tiny = TINY[command].format(folder=folder).split()

    def run(choice):
        output = pathlib.Path("out")
        given = [command, *tiny]
        if command != "doctor":
            given += ["--output", str(output)]
        code = said(main, [*given, f"{choice[0]}={choice[1]}"])
        assert code in (0, 1) if command == "doctor" else code == 0, code

    chosen = st.tuples(st.sampled_from(names), ARGUMENTS).filter(
        lambda pair: (
            not (pair[0] in ITERATED and pair[1] in LONG)
            # Only into the folder of the case.
            and not (pair[0] == "--output" and set(pair[1]) & set("/~"))
        )
    )
    door = Door(
        call=run,
        values={"choice": chosen},
        spoils=False,
        strict=False,
        writes=True,
        goes_on=True,
        share=SHARES[command],
    )
    findings = fuzz(command, door)
    assert not findings.by_kind, findings.report(command)
