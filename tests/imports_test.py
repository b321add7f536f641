"""What an import of the package, and of each of its modules, must not do."""

import pathlib
import subprocess
import sys
import textwrap

import keras_irl

# Ends at the first step into the network, and takes all families away.
CODE = """
    import os, socket

    def refuse(*args, **kwargs):
        print("network access:", args[1:] or args, flush=True)
        os._exit(3)

    socket.socket.connect = socket.socket.connect_ex = refuse
    socket.getaddrinfo = socket.gethostbyname = refuse

    import importlib, pathlib
    import keras_hub
    bases = {"CausalLM", "Seq2SeqLM", "Task", "Backbone", "Tokenizer"}
    for name in set(vars(keras_hub.models)) - bases:
        if not name.startswith("_"):
            delattr(keras_hub.models, name)
    import keras_irl
    for name in keras_irl.__all__:
        getattr(keras_irl, name)
    root = pathlib.Path(keras_irl.__file__).parents[1]
    for path in sorted((root / "keras_irl").rglob("*.py")):
        if path.stem in ("__main__", "decoding"):
            continue
        if path.parent.name == "kernels":
            continue
        parts = path.relative_to(root).with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))
    print("imported")
"""


# What trains draws and writes no reports. Keras may load Matplotlib itself.
TRAINING = """
    import keras_hub, sys
    before = set(sys.modules)
    import keras_irl.trainers
    for name in sorted(set(sys.modules) - before):
        if name.startswith("keras_irl.reporting") or name.split(".")[0] in (
            "jinja2", "markupsafe", "matplotlib"
        ):
            print(name)
    print("imported")
"""


def test_trainers_load_neither_reports_nor_what_draws_them():
    assert output_of(TRAINING) == "imported\n"


def output_of(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=pathlib.Path(keras_irl.__file__).parents[1],
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stdout + done.stderr[-2000:]
    return done.stdout


def test_an_import_reaches_no_network_and_asks_for_no_class_of_a_family():
    # A rename of any of them breaks what needs it, and no import.
    assert output_of(CODE).endswith("imported\n")
