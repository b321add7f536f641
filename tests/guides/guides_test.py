"""Every guide runs as it is, and its notebook holds what it says."""

import json
import pathlib
import re
import runpy
import tempfile

import keras
import make_notebooks
import pytest
from testing import scratch_of_one_layer

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = {script.stem: script for script in make_notebooks.scripts()}
BACKENDS = {
    "01_quickstart": ("jax", "tensorflow", "torch"),
    "02_your_own_data": ("jax", "tensorflow", "torch"),
}
# These take seconds as they are. In `make test` the others train a little and
# judge a few texts; what needs more is asserted in `make nightly`.
SMALL = "KERAS_IRL_SMALL_GUIDES"
QUICK = ("03_the_method", "10_paper")


def runs(names, *others):
    return [
        pytest.param(name, marks=[backends_of(name), *others], id=name)
        for name in names
    ]


def backends_of(name):
    return pytest.mark.backends(*BACKENDS.get(name, ("jax",)))


@pytest.mark.parametrize("name", runs(SCRIPTS))
def test_runs_with_small_numbers(name, tmp_path, monkeypatch):
    monkeypatch.setenv(SMALL, "1")
    if name in QUICK:
        run(name, tmp_path, monkeypatch)
        return
    # A second layer is compiled as the first is.
    with scratch_of_one_layer():
        run(name, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "name", runs([n for n in SCRIPTS if n not in QUICK], pytest.mark.slow)
)
def test_runs_as_it_is(name, tmp_path, monkeypatch):
    monkeypatch.delenv(SMALL, raising=False)
    run(name, tmp_path, monkeypatch)


def run(name, tmp_path, monkeypatch):
    if keras.backend.backend() not in BACKENDS.get(name, ("jax",)):
        pytest.skip("JAX tells it.")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    # Guide 8 sets it, which the tests after it shall not find.
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.chdir(tmp_path)
    try:
        runpy.run_path(str(SCRIPTS[name]), run_name="__main__")
    finally:
        if keras.backend.backend() == "jax":
            keras.distribution.set_distribution(None)


SIZE = f"""
# The project's tests run this with small numbers, by this variable. What a
# small training can't show is asserted where the size is full.
FULL_SIZE = "{SMALL}" not in os.environ
""".strip()


def cells(name):
    """Pairs of the first line and the text of each cell."""
    text = SCRIPTS[name].read_text("utf-8")
    found = re.findall(r"^# %%([^\n]*)\n(.*?)(?=^# %%|\Z)", text, re.M | re.S)
    return [(first.strip(), body.strip()) for first, body in found]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_notebook_is_that_of_the_script(name):
    path = make_notebooks.notebook_path(SCRIPTS[name])
    assert path.read_text("utf-8") == make_notebooks.notebook(SCRIPTS[name]), (
        "Run `make guides`."
    )


def test_no_notebook_asks_for_hardware_that_its_guide_needs_not():
    for script in SCRIPTS.values():
        notebook = json.loads(make_notebooks.notebook(script))
        assert "**Accelerator:** none" in script.read_text("utf-8")
        assert "accelerator" not in notebook["metadata"]


def test_simulated_devices_are_simulated_beside_real_ones():
    names = [body for marks, body in cells("08_scale") if not marks]
    assert 'os.environ["JAX_PLATFORMS"] = "cpu"' in names[0]
    code = "\n".join(body for marks, body in cells("08_scale"))
    assert code.index("JAX_PLATFORMS") < code.index("import jax")


def test_no_notebook_is_left_over():
    found = {path.stem for path in (ROOT / "guides/notebooks").iterdir()}
    assert found == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_has_what_each_guide_has(name):
    first = cells(name)[0]
    assert first[0] == "[markdown]"
    for entry in ("Author", "Date", "You will learn", "Accelerator"):
        assert f"**{entry}:**" in first[1]
    assert f"keras-irl/keras_irl/blob/main/guides/notebooks/{name}" in first[1]
    marked = [
        (marks, body) for marks, body in cells(name) if "scale-up" in marks
    ]
    assert len(marked) == 1
    assert marked[0][1].startswith("SCALE_UP = False\n\nif SCALE_UP:\n")
    before = cells(name)[cells(name).index(marked[0]) - 1]
    assert before[0] == "[markdown]"
    expected = before[1].partition("**Expect**")[2]
    assert re.search(r"\b(s|minutes?|hours?)\b", expected), "The time."
    assert re.search(r"\b([GM]i?B)\b", expected), "The memory."


def test_every_picture_is_told_in_words():
    """The site gives them to those who can't see it."""
    for name in SCRIPTS:
        for marks, body in cells(name):
            if re.search(r"^show\(", body, re.M):
                assert re.search(r'"alt": "[^"]{40,}\."', marks), (name, body)


@pytest.mark.parametrize("tag", ["install", "backend"])
def test_all_begin_alike(tag):
    found = {
        body
        for name in SCRIPTS
        for marks, body in cells(name)
        if marks == f'tags=["{tag}"]'
    }
    assert len(found) == 1
    assert all(
        sum(tag in marks for marks, _ in cells(name)) == 1 for name in SCRIPTS
    )


def test_the_size_is_read_alike():
    """Nothing but the variable makes a guide smaller."""
    for name in SCRIPTS:
        found = [body for marks, body in cells(name) if '"size"' in marks]
        text = SCRIPTS[name].read_text("utf-8")
        if name in QUICK:
            assert not found and "FULL_SIZE" not in text
            continue
        (body,) = found
        assert body == SIZE
        # The cell, and what is smaller.
        assert text.count("FULL_SIZE") > 1


@pytest.mark.parametrize("found", [[], ["tensorflow", "torch"], ["torch"]])
def test_the_backend_is_that_of_the_hardware(found, monkeypatch):
    code = next(b for m, b in cells("01_quickstart") if '"backend"' in m)
    import glob
    import importlib.util

    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(glob, "glob", lambda path: [] if found else [path])
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name in found or not found
    )
    given = {"importlib": importlib}
    exec(code, given)
    assert given["os"].environ["KERAS_BACKEND"] == (found or ["jax"])[0]
