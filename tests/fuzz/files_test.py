"""Files that hold anything are read, or refused with their name."""

import gzip
import json

import pytest
from harness import Door
from harness import fuzz
from hypothesis import strategies as st
from values import TEXTS
from values import Inside
from values import whole

from keras_irl.cli.config import read_config
from keras_irl.cli.judged_texts import read_texts
from keras_irl.cli.output_folder import MANIFESTS
from keras_irl.cli.run_folder import EvaluationFolder
from keras_irl.cli.run_folder import RunFolder
from keras_irl.data import load_task
from keras_irl.tasks.prompt_lines import read_prompts

# The files that each task looks for, and the columns of one.
TASKS = {
    "jsonl": ("train.jsonl", ("prompt", "response", "responses", "messages")),
    "gsm8k": ("train.jsonl", ("question", "answer")),
    "xsum": ("train.jsonl", ("document", "summary")),
    "scitldr": ("train.jsonl", ("source", "target")),
    "tldr": ("train.jsonl", ("content", "summary", "prompt", "label")),
    "wmt22": ("train.jsonl", ("translation", "en", "de")),
    "e2e": ("devset.csv", ("mr", "ref")),
    "e2e-delexicalized": ("devset.csv", ("mr", "ref")),
}
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    TEXTS,
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=5,
)


def as_json(value):
    return json.dumps(value)


def json_lines(names):
    """Lines of objects, of which most are what is asked for."""
    texts = st.one_of(TEXTS, TEXTS, TEXTS, ANYTHING)
    rows = st.one_of(
        st.fixed_dictionaries({}, optional=dict.fromkeys(names, texts)),
        st.fixed_dictionaries(dict.fromkeys(names[:2], TEXTS)),
        ANYTHING,
    )
    return st.lists(rows.map(as_json), max_size=4).map("\n".join)


def flag_lines(sign):
    """Lines of names of flags with their values, as in YAML or TOML."""
    names = st.one_of(st.sampled_from(("steps", "td-weight", "path")), TEXTS)
    values = st.one_of(ANYTHING.map(as_json), TEXTS)
    lines = st.tuples(names, values).map(sign.join)
    return st.lists(lines, max_size=4).map("\n".join)


def csv_lines(names):
    cells = st.lists(TEXTS, min_size=1, max_size=3)
    lines = cells.map(lambda row: ",".join(f'"{cell}"' for cell in row))
    return st.lists(lines, max_size=4).map(
        lambda found: "\n".join([",".join(names), *found])
    )


def contents(lines):
    """What a file may hold: such lines, whole or damaged, or anything."""
    as_bytes = lines.map(lambda text: text.encode("utf-8", "surrogatepass"))
    return st.one_of(
        as_bytes,
        as_bytes,
        as_bytes.map(lambda data: data[: len(data) // 2]),
        as_bytes.map(lambda data: b"\xef\xbb\xbf" + data),
        as_bytes.map(gzip.compress),
        as_bytes.map(lambda data: gzip.compress(data)[:-4]),
        lines.map(lambda text: text.encode("utf-16", "replace")),
        st.binary(max_size=40),
        ANYTHING.map(as_json).map(str.encode),
        st.sampled_from((b"", b"\n" * 9, b"[" * 10**5, b'{"a":' * 10**4)),
    )


def read_all(name, path, split):
    task = load_task(name, split, path)
    rows = range(min(3, len(task.prompts)))
    return [(task.prompts[i], task.responses[i]) for i in rows]


def go_on(kind, path):
    folder = kind(path, {"task": "arithmetic", "steps": 3})
    run = folder.finished_run("mle", 0)
    assert run is None or isinstance(run, dict), run


def task_door(name):
    file, names = TASKS[name]
    lines = csv_lines(names) if file.endswith("csv") else json_lines(names)
    return Door(
        call=lambda path, split="train": read_all(name, path, split),
        values={
            "path": contents(lines).map(
                lambda data: Inside(f"data/{file}", data, shown="")
            ),
            "split": st.sampled_from(("train", "test")),
        },
        strict=False,
        spoils=False,
        writes=True,
    )


def folder_door(kind):
    """An output folder in which one file is damaged."""
    damaged = contents(ANYTHING.map(as_json))
    begun = (f"{kind.results_name}/mle-0.json", b'{"rows": []}')
    listed = {"task": "arithmetic", "steps": 3, "written": [begun[0]]}
    mark = (f"../{MANIFESTS[kind.job][0]}", json.dumps(listed).encode())
    settings = st.fixed_dictionaries({"task": TEXTS, "steps": whole(0, 9)})
    files = st.one_of(
        st.one_of(
            damaged, settings.map(lambda x: json.dumps(x, default=int).encode())
        ).map(
            lambda data: Inside(
                f"out/{MANIFESTS[kind.job][0]}", data, shown="", beside=(begun,)
            )
        ),
        damaged.map(
            lambda data: Inside(
                f"out/{begun[0]}", data, shown="..", beside=(mark,)
            )
        ),
    )
    return Door(
        call=lambda path: go_on(kind, path),
        values={"path": files},
        strict=False,
        spoils=False,
        writes=True,
    )


DOORS = {
    **{f"load_task {name}": task_door(name) for name in TASKS},
    "rewards --path": Door(
        call=lambda path, metrics: read_texts(path, metrics),
        values={
            "path": contents(
                json_lines(("prompt", "response", "finished", "bleu"))
            ).map(lambda data: Inside("texts.jsonl", data)),
            "metrics": st.sampled_from(([], ["bleu"], ["bleu", "x"])),
        },
        strict=False,
        spoils=False,
        writes=True,
    ),
    "generate --prompts": Door(
        call=lambda path: read_prompts(path),
        values={
            "path": contents(json_lines(("prompt", "messages"))).map(
                lambda data: Inside("prompts.jsonl", data)
            ),
        },
        strict=False,
        spoils=False,
        writes=True,
    ),
    **{
        f"--config {ending}": Door(
            call=lambda path: read_config(path),
            values={
                "path": contents(lines).map(
                    lambda data, ending=ending: Inside(f"a.{ending}", data)
                ),
            },
            strict=False,
            spoils=False,
            writes=True,
        )
        for ending, lines in (
            ("yaml", flag_lines(": ")),
            ("toml", flag_lines(" = ")),
        )
    },
    "compare --output": folder_door(RunFolder),
    "evaluate --output": folder_door(EvaluationFolder),
}


@pytest.mark.parametrize("name", DOORS)
def test_any_file_is_read_or_refused(name):
    findings = fuzz(name, DOORS[name])
    assert not findings.by_kind, findings.report(name)
