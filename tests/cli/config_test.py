import re

import pytest

from keras_irl.cli import parser
from keras_irl.cli.config import LISTS
from keras_irl.cli.config import REPEATED
from keras_irl.cli.config import ConfigError
from keras_irl.cli.config import config_text
from keras_irl.cli.config import found_from_anywhere
from keras_irl.cli.config import read_config
from keras_irl.cli.parser import parse_arguments

# As short as a command line may be.
NEEDED = {
    "compare": ["--path=my.jsonl"],
    "doctor": ["--path=my.jsonl"],
    "evaluate": ["--path=my.jsonl", "--policy=a.keras"],
    "generate": ["--prompts=p.jsonl", "--policy=a.keras"],
    "rewards": ["--policy=a.keras"],
    "train": ["--path=my.jsonl"],
}


def write(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def parsed(*arguments):
    found = vars(parse_arguments(list(arguments)))
    return {k: v for k, v in found.items() if k != "arguments"}


YAML = """
task: jsonl
td-weight: [0, 0.1]
value_offset: [-20, auto]
learning-rate: 1e-4  # Which YAML takes for a text.
steps: 7
objectives: mle,iqlearn
decoders: [T=0.7+top-p=0.9, beam=4]
mesh: {batch: 4, model: 2}
overwrite: true
num-train: null
"""
TOML = """
task = "jsonl"
td-weight = [0, 0.1]
value_offset = [-20, "auto"]
learning-rate = 1e-4
steps = 7
objectives = "mle,iqlearn"
decoders = ["T=0.7+top-p=0.9", "beam=4"]
mesh = {batch = 4, model = 2}
overwrite = true
"""
COMMAND = (
    "compare --task jsonl --td-weight 0,0.1 --value-offset=-20,auto "
    "--learning-rate 1e-4 --steps 7 --objectives mle,iqlearn --decoders "
    "T=0.7+top-p=0.9,beam=4 --mesh batch=4,model=2 --overwrite"
).split()


@pytest.mark.parametrize(
    ("text", "name"), [(YAML, "a.yaml"), (YAML, "a.yml"), (TOML, "a.toml")]
)
def test_a_file_says_what_flags_say(tmp_path, text, name):
    path = write(tmp_path, text, name)
    assert parsed("compare", "--config", path) == parsed(*COMMAND)


def test_the_command_line_counts_more(tmp_path):
    path = write(tmp_path, YAML)
    for given in (
        ["compare", f"--config={path}", "--steps=9", "--td-weight=2"],
        ["compare", "--steps=9", "--td-weight=2", "--config", path],
    ):
        found = parsed(*given)
        assert (found["steps"], found["td_weight"]) == (9, [2.0])
        assert found["value_offset"] == [-20.0, "auto"]


def test_several_policies_are_named_in_a_file(tmp_path):
    for text in (
        "policy: [mle=a.keras, b.keras]",
        "policy: {mle: a.keras, iqlearn: b.keras}",
    ):
        path = write(tmp_path, f"task: jsonl\n{text}")
        found = parsed("evaluate", "--config", path)["policy"]
        assert found[0] == "mle=a.keras" and len(found) == 2
        # Those of the command line stand for them all, also abbreviated.
        for flag in ("--policy=c", "--pol=c"):
            found = parsed("evaluate", "--config", path, flag)
            assert found["policy"] == ["c"]


def test_flags_that_are_repeated_are_known():
    for job, needed in NEEDED.items():
        taken = parse_arguments([job, *needed])
        repeated = set()
        for name, text in (("policy", "a=b"), ("metric", "bleu")):
            if name in vars(taken):
                given = [f"--{name}={text}"] * 2
                found = vars(parse_arguments([job, *needed, *given]))[name]
                if isinstance(found, list):
                    repeated.add(name)
        assert repeated == set(REPEATED.get(job, ())), job


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stepz: 3", "no flag of `compare`; did you mean 'steps'.*'stepz'"),
        ("td weigth: 3", "did you mean 'td-weight'"),
        ("zzz: 3", "it has .*'task'.*'zzz'"),
        ("config: a.yaml", "key that is no flag"),
        ("help: true", "key that is no flag"),
        ("steps: 0", "argument --steps: .*Received: 0 .with --config"),
        ("steps: 1.5", "argument --steps: a whole number"),
        ("steps: true", "neither true nor false.*steps=True"),
        ("overwrite: 1", "true or false.*overwrite=1"),
        ("steps: 2020-01-01", "not a date.*steps"),
        ("steps: {a: [1]}", "one value, and no table.*steps"),
        ("path: [a.jsonl, b.jsonl]", "one value, and no list.*path="),
        ("preset: [t5]", "one value, and no list.*preset="),
        ("mesh: {batch: [1]}", "a text, a number or a list.*mesh"),
        ("td-weight: [[1]]", "not a list.*td-weight"),
        ("learning-rate: .inf", "not finite"),
        ("backend: numpy", "argument --backend: invalid choice"),
        ("steps: 1\nsteps: 2", "twice.*'steps'"),
        ("td-weight: 1\ntd_weight: 2", "twice.*'td-weight'"),
        ("- steps", "names of flags"),
        ("1: 2", "names of flags"),
        ("steps: [", "not valid YAML"),
        ("steps: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("steps: 2020-99-99", "not valid YAML"),
        ("steps: !!bool x", "not valid YAML"),
        ("steps: !!timestamp x", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
    ],
)
def test_what_no_flag_takes_is_refused(tmp_path, capsys, text, message):
    path = write(tmp_path, text)
    with pytest.raises(SystemExit) as exit_code:
        parse_arguments(["compare", "--task=jsonl", "--config", path])
    assert exit_code.value.code == 2
    told = capsys.readouterr().err.rpartition("error: ")[2]
    assert re.search(message, told, re.S), told


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--config", "a.json"], "a .yaml or .toml file"),
        (["--config", "nowhere.toml"], "can't be read.*nowhere"),
        (["--config", "bad.toml"], "not valid TOML"),
        (["--config", "latin.yaml"], "it is not UTF-8"),
        (["--config", "long.yaml"], "longer than"),
        (["--config", "ok.yaml", "--config=ok.yaml"], "Pass one `--config`"),
        (["--conf", "ok.yaml"], "in full"),
        (["--config"], "expected one argument"),
    ],
)
def test_a_file_is_there_and_can_be_read(
    tmp_path, monkeypatch, capsys, given, message
):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "steps", "bad.toml")
    write(tmp_path, "steps: 3", "ok.yaml")
    write(tmp_path, "#" * 2**21, "long.yaml")
    (tmp_path / "latin.yaml").write_bytes("task: \xe9".encode("latin-1"))
    with pytest.raises(SystemExit):
        parse_arguments(["compare", "--task=jsonl", *given])
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize("job", parser.COMMANDS)
def test_what_a_run_writes_back_means_the_same(tmp_path, monkeypatch, job):
    """From any folder, and with all flags, also those that nobody set."""
    given = [job, *NEEDED[job]]
    if job == "compare":
        given = COMMAND
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()
    monkeypatch.chdir(here)
    (here / "a.keras").touch()
    options = parse_arguments(given)
    path = write(tmp_path, config_text(options, "torch"))
    expected = parsed(*given) | {"backend": "torch"}
    # To replace what is there is asked for anew each time.
    expected.pop("overwrite", None)
    for name in ("path", "output", "prompts", "policy"):
        value = expected.get(name)
        if isinstance(value, list):
            expected[name] = [str(here / text) for text in value]
        elif value is not None:
            expected[name] = str(here / value)
    monkeypatch.chdir(elsewhere)
    found = parsed(job, "--config", path)
    assert not found.pop("overwrite", False)
    assert found == expected
    names = {key.replace("-", "_") for key in read_config(path)}
    assert names == expected.keys() - {"job"}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        (
            "policy",
            ["mle=a.keras", "a.keras"],
            ["mle={}/a.keras", "{}/a.keras"],
        ),
        ("policy", "a.keras", "{}/a.keras"),
        ("preset", "t5-scratch-tiny", "t5-scratch-tiny"),
        ("preset", "saved", "{}/saved"),
        (
            "metrics",
            ["bleu", "mine:f", "mine.py:f", "pkg.mine:f", "other:f"],
            ["bleu", "{}/mine.py:f", "{}/mine.py:f", "pkg.mine:f", "other:f"],
        ),
        ("path", None, None),
        ("metrics", None, None),
        ("task", "saved", "saved"),
    ],
)
def test_paths_are_found_from_anywhere(
    tmp_path, monkeypatch, name, value, found
):
    monkeypatch.chdir(tmp_path)
    for file in ("a.keras", "mine.py"):
        (tmp_path / file).touch()
    (tmp_path / "saved").mkdir()
    if isinstance(found, list):
        expected = [text.format(tmp_path) for text in found]
    else:
        expected = None if found is None else found.format(tmp_path)
    assert found_from_anywhere(name, value) == expected


def test_flags_that_take_lists_are_known():
    """For each flag, two values are those of a list, or one text."""
    for job, needed in NEEDED.items():
        options = vars(parse_arguments([job, *needed]))
        for name in LISTS:
            if name in options:
                assert options[name] is None or isinstance(options[name], list)
        del options["arguments"]
        for name, value in options.items():
            is_known = name in LISTS or name in REPEATED.get(job, ())
            assert is_known or not isinstance(value, list | dict), name


def test_an_empty_file_says_nothing(tmp_path):
    assert read_config(write(tmp_path, "# nothing\n")) == {}
    with pytest.raises(ConfigError, match="Received: config="):
        read_config(write(tmp_path, "{", "a.yaml"))
