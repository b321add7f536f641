"""The rules of the house that a machine can check."""

import ast
import collections
import importlib
import pathlib
import subprocess
import sys
import textwrap

import pytest

import keras_irl

ROOT = pathlib.Path(keras_irl.__file__).parents[1]
PACKAGE = ROOT / "keras_irl"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}

BACKENDS = {"jax", "tensorflow", "torch"}
# The files that may name a backend, and what they need it for.
NAMES_A_BACKEND = {
    "callbacks/random_generators.py": "knows the generator of PyTorch",
    "callbacks/training_state.py": "reads arrays to where they belong",
    "keras_seams.py": "clears what Keras misses",
    "cli/flags.py": "offers the backends as a choice",
    "models/policy_reader.py": "knows what XLA can't compile",
    "ops/kernels/jax.py": "loops over tiles in place",
    "ops/kernels/jax_mesh.py": "divides the work among devices",
    "ops/kernels/tensorflow.py": "loops over tiles in the graph",
    "ops/kernels/torch.py": "loops over tiles in place",
    "optimizers/network_optimizers.py": "assigns inside a compiled branch",
    "trainers/fit_arguments.py": "knows data sets and the writer of logs",
    "trainers/step_cost.py": "reads the clock inside a compiled step",
    "models/tiling.py": "knows what XLA can't compile",
    "losses/schedules.py": "counts steps inside a compiled JAX step",
}
# What each room may import, besides itself and the files beside the rooms.
# Training imports neither judges nor reports, and equations import only ops.
MAY_IMPORT = {
    "ops": "",
    "losses": "ops",
    "families": "ops",
    "optimizers": "",
    "models": "families ops optimizers",
    "data": "families ops",
    "generation": "data families models ops",
    "metrics": "",
    "tasks": "data metrics",
    "diagnosis": "data families models ops optimizers",
    "trainers": (
        "data diagnosis families generation losses models ops optimizers"
    ),
    "distribution": "families models",
    "evaluation": "generation metrics",
    "reporting": "evaluation generation metrics",
    "rewards": "data families losses metrics models ops reporting",
    "callbacks": "evaluation generation models optimizers reporting trainers",
    "cli": (
        "callbacks data diagnosis evaluation families generation metrics "
        "models reporting rewards tasks trainers"
    ),
}
BESIDE_THE_ROOMS = set(
    "aliases arguments columns folders keras_seams progress types "
    "version".split()
)
# A file holds one concept; these only show where one may have become two.
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 40
MAX_ARGUMENTS = 9
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def place(path):
    return path.relative_to(PACKAGE).as_posix()


def room(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imports(tree):
    """Every module that is imported, or from which something is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module == "keras_irl":
                yield from (f"keras_irl.{alias.name}" for alias in node.names)


def functions(tree):
    return (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))


def strings(node):
    """Every string in the code below a node, docstrings aside."""
    docstrings = {
        id(child.body[0].value)
        for child in ast.walk(node)
        if isinstance(child, (ast.Module, ast.ClassDef, *FUNCTIONS))
        and ast.get_docstring(child) is not None
    }
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            if id(child) not in docstrings:
                yield child.value


def called(node):
    """The names of the functions that are called below a node."""
    for child in ast.walk(node):
        if isinstance(child, ast.Call):
            yield ast.unparse(child.func)


def violations(check):
    """What `check(path, tree)` finds, with the file before it."""
    return [
        f"{place(path)}: {found}"
        for path, tree in TREES.items()
        for found in check(path, tree)
    ]


def test_imports_point_down():
    def check(path, tree):
        if not room(path):
            return
        allowed = {room(path), *MAY_IMPORT[room(path)].split()}
        for module in imports(tree):
            parts = module.split(".")
            if parts[0] == "keras_irl" and len(parts) > 1:
                if parts[1] not in allowed | BESIDE_THE_ROOMS:
                    yield f"imports {module}"

    assert violations(check) == []


def test_no_two_rooms_import_each_other():
    rooms = {name: set(below.split()) for name, below in MAY_IMPORT.items()}
    while rooms:
        lowest = {name for name, below in rooms.items() if not below}
        assert lowest, f"in a circle: {rooms}"
        rooms = {n: below - lowest for n, below in rooms.items() if below}


def test_the_rooms_of_the_guide_are_those_there_are():
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for name, below in MAY_IMPORT.items():
        rooms = ", ".join(f"`{other}`" for other in below.split())
        assert f"| `{name}` | {rooms or 'nothing'} |" in guide
        assert f"── {name}/ " in guide


def test_every_room_has_its_place():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert folders - {"__pycache__"} == set(MAY_IMPORT)


def test_imports_are_absolute_and_public():
    def check(_, tree):
        for module in imports(tree):
            if module.startswith(".") or ".src" in module:
                yield f"imports {module}"
            elif module.split(".")[0] in ("pickle", "dill", "cloudpickle"):
                yield f"imports {module}"

    assert violations(check) == []


def test_the_equations_need_only_keras_and_numpy():
    def check(path, tree):
        allowed = {"keras", "numpy", "keras_irl", *sys.stdlib_module_names}
        if place(path) in NAMES_A_BACKEND:
            allowed |= BACKENDS
        if room(path) in ("ops", "losses"):
            for module in imports(tree):
                if module.split(".")[0] not in allowed:
                    yield f"imports {module}"

    assert violations(check) == []


def names_a_backend(tree):
    yield from (m for m in imports(tree) if m.split(".")[0] in BACKENDS)
    yield from (text for text in strings(tree) if text in BACKENDS)


def test_a_backend_is_named_only_where_it_is_needed():
    named = {place(p) for p, t in TREES.items() if any(names_a_backend(t))}
    assert named == set(NAMES_A_BACKEND)


def test_nothing_is_evaluated_or_probed():
    def check(_, tree):
        for name in called(tree):
            if name in ("eval", "exec", "hasattr", "compile", "__import__"):
                yield f"calls {name}"

    assert violations(check) == []


# Where what Keras and keras-hub have no public seam for is done.
SEAMS = "keras_seams.py"
# Methods of theirs that were replaced once.
METHODS = {"apply", "build", "call", "fit", "generate_step", "train_step"}
OF_A_NAMED_TUPLE = {"_asdict", "_fields", "_make", "_replace"}


def own_names(tree):
    """What the classes and functions of a file define, and set on `self`."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and is_own(node.value):
            if isinstance(node.ctx, ast.Store):
                yield node.attr


def is_own(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def test_what_is_private_to_others_is_touched_in_one_file_alone():
    def check(path, tree):
        if place(path) == SEAMS:
            return
        allowed = {*own_names(tree), *OF_A_NAMED_TUPLE}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                owner = ast.unparse(node.value)
                if owner not in ("self", "cls", "super()", "os"):
                    if node.attr not in allowed:
                        yield f"line {node.lineno}: {owner}.{node.attr}"
            # A name in a string reaches as far.
            if isinstance(node, ast.Constant) and node.value in PRIVATE:
                yield f"line {node.lineno}: {node.value!r}"

    assert violations(check) == []


# Of Keras and keras-hub; most were used here once.
PRIVATE = {"_flatten_layers", "_build_cache", "_layers", "_kernel", "_tracker"}


def test_no_method_of_another_object_is_replaced():
    def check(path, tree):
        if place(path) == SEAMS:
            return
        own = set(own_names(tree))
        for node in ast.walk(tree):
            is_set = isinstance(node, ast.Attribute) and isinstance(
                node.ctx, (ast.Store, ast.Del)
            )
            if is_set and not is_own(node.value):
                is_theirs = is_private(node.attr) and node.attr not in own
                if node.attr in METHODS or is_theirs:
                    yield f"line {node.lineno}: sets {ast.unparse(node)}"

    assert violations(check) == []


def test_attributes_are_named_and_known_to_be_there():
    def check(_, tree):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in ("hasattr", "setattr", "delattr"):
                yield f"line {node.lineno}: calls {name}"
            if name == "getattr" and len(node.args) > 2:
                yield f"line {node.lineno}: getattr with a default"

    assert violations(check) == []


def test_families_are_known_in_their_room_alone():
    def check(path, tree):
        if room(path) == "families":
            return
        for text in strings(tree):
            if text.startswith("decoder_"):
                yield f"spells {text!r}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "isinstance",
                "issubclass",
            ):
                kind = ast.unparse(node.args[1])
                if kind.endswith(("CausalLM", "Seq2SeqLM", "Preprocessor")):
                    yield f"line {node.lineno}: {ast.unparse(node)}"

    assert violations(check) == []


def test_keyword_arguments_are_passed_on_to_keras_alone():
    def check(_, tree):
        for function in functions(tree):
            if function.args.kwarg is None:
                continue
            name = function.args.kwarg.arg
            for call in ast.walk(function):
                if not isinstance(call, ast.Call):
                    continue
                passed = any(
                    word.arg is None and ast.unparse(word.value) == name
                    for word in call.keywords
                )
                # A stand-in for a layer's `call` takes what the layer takes.
                known = ("super()", "self._call")
                if passed and not ast.unparse(call.func).startswith(known):
                    yield f"{function.name} passes **{name} on"

    assert violations(check) == []


def test_files_are_short():
    def check(path, _):
        lines = len(path.read_text("utf-8").splitlines())
        if lines > MAX_FILE_LINES:
            yield f"{lines} lines"

    assert violations(check) == []


def test_functions_are_short():
    def check(_, tree):
        for function in functions(tree):
            body = function.body
            if ast.get_docstring(function) is not None:
                body = body[1:]
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > MAX_FUNCTION_LINES:
                yield f"{function.name} has {lines} lines"

    assert violations(check) == []


def public_functions(tree):
    """Public functions, and the constructors of public classes."""
    for node in tree.body:
        if isinstance(node, FUNCTIONS) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, FUNCTIONS):
                    if method.name == "__init__" or method.name[0] != "_":
                        yield f"{node.name}.{method.name}", method


def test_signatures_are_short():
    def check(_, tree):
        for name, function in public_functions(tree):
            args = function.args
            arguments = [*args.posonlyargs, *args.args, *args.kwonlyargs]
            count = sum(a.arg not in ("self", "cls") for a in arguments)
            if count > MAX_ARGUMENTS:
                yield f"{name} has {count} arguments"

    assert violations(check) == []


# Here a user passes numbers and choices that look alike.
# Overridden, or called by position by the loops of a backend.
POSITIONAL = (
    "generation/samplers.py: TokenSampler.run_loop",
    "generation/samplers.py: BranchingSampler.run_loop",
    "trainers/trainer.py: Trainer.compute_loss",
    "data/validation.py: InvalidRowError.__init__",
    "ops/kernels/",
)


def test_arguments_beyond_the_fourth_go_by_their_names():
    def check(path, tree):
        for name, function in public_functions(tree):
            args = function.args
            arguments = [*args.posonlyargs, *args.args]
            count = sum(a.arg not in ("self", "cls") for a in arguments)
            known = f"{place(path)}: {name}".startswith(POSITIONAL)
            if count > 4 and not known:
                yield f"{name} has {count} positional arguments"

    assert violations(check) == []


def test_no_function_hides_its_module():
    # `keras_irl.rewards.token_rewards` is a name of the contract, and a
    # command of the command line is the file of its name.
    def check(path, tree):
        if room(path) == "cli" or path.stem == "token_rewards":
            return
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
                if node.name == path.stem:
                    yield f"defines {node.name}"

    assert violations(check) == []


def test_public_signatures_are_typed():
    def check(_, tree):
        for name, function in public_functions(tree):
            args = function.args
            named = [*args.posonlyargs, *args.args, *args.kwonlyargs]
            named += [a for a in (args.vararg, args.kwarg) if a is not None]
            untyped = [
                a.arg
                for a in named
                if a.annotation is None and a.arg not in ("self", "cls")
            ]
            if untyped or function.returns is None:
                yield f"{name} has no types of {untyped or 'what it returns'}"

    assert violations(check) == []


def test_names_of_files_say_something():
    empty = {"utils", "util", "helpers", "common", "misc", "base"}
    assert [place(p) for p in FILES if p.stem.strip("_") in empty] == []


def test_what_is_public_is_documented():
    def check(_, tree):
        if tree.body and ast.get_docstring(tree) is None:
            yield "has no docstring"
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
                documented = ast.get_docstring(node) is not None
                if not node.name.startswith("_") and not documented:
                    yield f"{node.name} has no docstring"

    assert violations(check) == []


def test_a_module_is_named_by_its_concept_and_not_by_a_clause():
    clauses = {"what", "how", "which", "where", "whether", "when", "who"}

    def check(_, tree):
        first = (ast.get_docstring(tree) or "").splitlines()[:1]
        if first and first[0].split()[0].lower() in clauses:
            yield first[0]

    assert violations(check) == []


def test_errors_say_what_was_received():
    # A message may be put together by a function, or in a local variable.
    says_received = collections.defaultdict(bool)
    for tree in TREES.values():
        for function in functions(tree):
            says = any("Received" in text for text in strings(function))
            says_received[function.name] |= says

    def says(node, around):
        if any("Received" in text for text in strings(node)):
            return True
        if any(says_received[name] for name in called(node)):
            return True
        return (
            any(isinstance(a, ast.Name) for a in node.args)
            and (says_received[around])
        )

    raised = ("ValueError", "ArgumentError")

    def check(_, tree):
        for function in functions(tree):
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    if ast.unparse(node.func) in raised:
                        if not says(node, function.name):
                            yield f"line {node.lineno}: {ast.unparse(node)}"

    assert violations(check) == []


def test_every_public_name_is_listed_once_and_exists():
    names = keras_irl.__all__
    assert names
    assert sorted(set(names)) == sorted(names)
    missing = object()
    assert [n for n in names if getattr(keras_irl, n, missing) is missing] == []


@pytest.mark.parametrize("path", FILES, ids=place)
def test_every_file_can_be_imported(path):
    # The aliases of old names warn when they are imported.
    if path.stem not in ("__main__", "decoding"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))


def test_importing_makes_no_network_access():
    code = """
        import os, socket

        def refuse(*args, **kwargs):
            print("network access:", args[1:] or args, flush=True)
            os._exit(3)

        socket.socket.connect = socket.socket.connect_ex = refuse
        socket.getaddrinfo = socket.gethostbyname = refuse
        import keras_irl
        for name in keras_irl.__all__:
            getattr(keras_irl, name)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
