"""What a reader would type from the README or a page of the site is right.

Where it needs a preset that is downloaded, or devices, its names and flags are
looked up; what runs on tiny policies runs.
"""

import ast
import inspect
import pathlib
import re
import shlex

import keras
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import tiny_policy

import keras_irl
from keras_irl.cli.parser import COMMANDS
from keras_irl.cli.parser import parse_arguments

ROOT = pathlib.Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path
    for path in (
        ROOT / "README.md",
        *sorted(ROOT.glob("docs/*.md")),
        ROOT / "benchmarks" / "scaling.md",
        ROOT / "benchmarks" / "README.md",
    )
}
NAMES = {"keras": keras, "keras_irl": keras_irl}


def blocks(page, *languages):
    """The blocks of code on a page, in the order in which they stand."""
    text = PAGES[page].read_text("utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)
    return [code for language, code in found if language in languages]


def commands(page):
    """The arguments of each `keras-irl` on a page."""
    for block in blocks(page, "shell", "bash", "sh", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(r"(?:keras-irl|-m keras_irl) +(.*)", line)
            if found:
                yield shlex.split(found[1], comments=True)


def value_of(node):
    """What a chain of names stands for, or `None` of what is not ours."""
    if isinstance(node, ast.Name):
        return NAMES.get(node.id)
    if not isinstance(node, ast.Attribute):
        return None
    owner = value_of(node.value)
    return None if owner is None else getattr(owner, node.attr)


def arguments_of(value):
    """What a function or class takes by name, or `None` of one that takes any.

    Keras's `__new__` would take any, and `**kwargs` go to a base class.
    """
    taken = list(inspect.signature(value).parameters.values())
    if inspect.isclass(value):
        bases = [c for c in value.__mro__ if c.__module__.startswith("keras")]
        for base in bases:
            taken += inspect.signature(base.__init__).parameters.values()
    elif inspect.Parameter.VAR_KEYWORD in [p.kind for p in taken]:
        return None
    return {parameter.name for parameter in taken}


def test_an_argument_that_a_trainer_has_not_is_noticed():
    assert {"td_weight", "discount", "value_offset", "name"} <= arguments_of(
        keras_irl.IQLearn
    )
    assert "td_wait" not in arguments_of(keras_irl.IQLearn)


@pytest.mark.parametrize("page", PAGES)
def test_names_and_keywords_in_code_exist(page):
    for code in blocks(page, "python", "py"):
        for node in ast.walk(ast.parse(code)):
            value_of(node)
            if not isinstance(node, ast.Call) or value_of(node.func) is None:
                continue
            taken = arguments_of(value_of(node.func))
            given = {keyword.arg for keyword in node.keywords}
            assert taken is None or given <= taken, ast.unparse(node)


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_taken_as_they_stand(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # Files that a page shows say their names first.
    for code in blocks(page, "yaml", "toml", "python"):
        name = re.match(r"# ([\w.]+\.\w+)\n", code)
        if name:
            (tmp_path / name[1]).write_text(code, "utf-8")
    for words in commands(page):
        if "--help" in words:
            continue
        try:
            assert parse_arguments(words).job in COMMANDS
        except SystemExit:
            pytest.fail(capsys.readouterr().err)


def test_commands_are_shown():
    for page in ("README.md", "docs/command_line.md", "benchmarks/README.md"):
        assert list(commands(page))


def test_the_first_example_is_the_same_on_both_first_pages():
    assert (
        blocks("docs/index.md", "python")[0] == blocks("README.md", "python")[0]
    )


def test_a_metric_of_ones_own_is_one():
    (code,) = (
        code
        for code in blocks("docs/command_line.md", "python")
        if code.startswith("# my_metrics.py")
    )
    given = {}
    exec(code, given)
    found = given["mentions_source"](["see http://a", "none"], [["a"], ["b"]])
    assert found == [100.0, 0.0]


def test_what_stands_beside_keras_hub_runs():
    text = PAGES["docs/coming_from.md"].read_text("utf-8")
    text = text.partition("## From keras-hub")[2].partition("\n## ")[0]
    codes = re.findall(r"^```py\n(.*?)^```$", text, re.M | re.S)
    decoder, encoder_decoder, ours = (c.replace("8", "3") for c in codes)
    given = {
        **NAMES,
        "prompts": list(PROMPTS),
        "responses": list(RESPONSES),
    }
    for family, examples in (
        ("gpt2", (decoder, ours)),
        ("t5", (encoder_decoder, ours)),
    ):
        for example in examples:
            policy = tiny_policy(family)
            before = policy.get_weights()
            exec(example, {**given, "policy": policy})
            assert any(
                (one != other).any()
                for one, other in zip(before, policy.get_weights(), strict=True)
            )


def literals():
    """All that the code of the package may say, with `*` for what varies."""
    for path in sorted((ROOT / "keras_irl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "*"
                    for part in node.values
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_errors_that_are_explained_are_those_of_the_code():
    text = PAGES["docs/errors.md"].read_text("utf-8")
    titles = re.findall(r'^## "(.*)"$', text, re.M)
    assert len(titles) > 15
    said = "\0".join(" ".join(literal.split()) for literal in literals())
    for title in titles:
        for part in title.split("…"):
            # A word of it may be what varies: a number, a file, a name.
            words = (rf"(?:{re.escape(w)}|\S*\*\S*)" for w in part.split())
            assert re.search(" ".join(words), said), (title, part)
