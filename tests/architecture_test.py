"""The rules of the house that a machine can check."""

import ast
import collections
import graphlib
import importlib
import pathlib
import re
import sys

import pytest

import keras_irl

ROOT = pathlib.Path(keras_irl.__file__).parents[1]
PACKAGE = ROOT / "keras_irl"
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in FILES}

BACKENDS = {"jax", "tensorflow", "torch"}
# The files that may name a backend, and what they need it for.
NAMES_A_BACKEND = {
    "callbacks/training_state.py": (
        "reads arrays to where they belong, and the generator of PyTorch"
    ),
    "keras_seams.py": "clears what Keras misses",
    "cli/compilation.py": "refuses a folder on others",
    "cli/devices.py": "refuses a mesh on others",
    "cli/error_messages.py": "knows the error of a full memory",
    "cli/flags.py": "offers the backends as a choice",
    "generation/layered_caches.py": "knows where loops are compiled whole",
    "generation/prompt_caches.py": "leaves out what a compiler leaves out",
    "generation/weight_casts.py": "casts once what no compiler does",
    "generation/responses.py": "warms up what is compiled",
    "models/policy_reader.py": "knows what XLA can't compile",
    "distribution/cluster.py": "joins processes",
    "trainers/deferred_signals.py": "knows what a step of JAX consumes",
    "runtime/processes.py": "asks JAX which process this is, and gathers",
    "runtime/engines.py": "refuses those of TensorFlow and PyTorch",
    "runtime/row_shares.py": "knows which devices of JAX a process has",
    "ops/kernels/jax.py": "loops over tiles in place",
    "ops/kernels/jax_mesh.py": "divides the work among devices",
    "ops/kernels/tensorflow.py": "loops over tiles in the graph",
    "ops/kernels/torch.py": "loops over tiles in place",
    "optimizers/fused_updates.py": "calls the update of PyTorch",
    "optimizers/network_optimizers.py": "assigns inside a compiled branch",
    "trainers/fit_arguments.py": "knows data sets and the writer of logs",
    "trainers/process_shares.py": "knows data sets that Keras divides",
    "trainers/step_cost.py": "reads the clock inside a compiled step",
    "models/tiling.py": "knows what XLA can't compile",
    "losses/schedules.py": "counts steps inside a compiled JAX step",
}
# What each room may import, besides itself and the files beside the rooms.
# Training imports neither judges nor reports, and equations import only ops.
MAY_IMPORT = {
    "runtime": "",
    "files": "runtime",
    "ops": "",
    "losses": "ops runtime",
    "families": "ops",
    "optimizers": "",
    "models": "families files ops optimizers runtime",
    "data": "families ops runtime",
    "generation": "data families models ops runtime",
    "metrics": "",
    "tasks": "data files metrics runtime",
    "diagnosis": "data families models ops optimizers runtime",
    "trainers": (
        "data diagnosis families generation losses models ops optimizers "
        "runtime"
    ),
    "distribution": "families models runtime",
    "evaluation": "generation metrics runtime",
    "rewards": "data families losses metrics models ops runtime",
    "reporting": "evaluation files generation metrics rewards",
    "callbacks": (
        "evaluation files generation models optimizers runtime trainers"
    ),
    "cli": (
        "callbacks data diagnosis distribution evaluation families files "
        "generation metrics models reporting rewards runtime tasks trainers"
    ),
}
BESIDE_THE_ROOMS = set(
    "aliases arguments columns error_texts escaping expected_warnings "
    "keras_seams types version".split()
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


# Types of which `None` is one.
OR_NONE = r"\b(None|Any|Tensor|Numbers|Logs)\b"


def violations(check):
    """What `check(path, tree)` finds, with the file before it."""
    return [
        f"{place(path)}: {found}"
        for path, tree in TREES.items()
        for found in check(path, tree)
    ]


# They stand above the rooms: what the package offers, and its old names.
ABOVE_THE_ROOMS = {"__init__", "__main__", "decoding"}


def test_imports_point_down():
    def check(path, tree):
        allowed = set()
        if room(path):
            allowed = {room(path), *MAY_IMPORT[room(path)].split()}
        elif path.stem in ABOVE_THE_ROOMS:
            return
        for module in imports(tree):
            parts = module.split(".")
            if parts[0] == "keras_irl" and len(parts) > 1:
                if parts[1] not in allowed | BESIDE_THE_ROOMS:
                    yield f"imports {module}"

    assert violations(check) == []


def test_a_file_beside_the_rooms_stands_below_or_above_them():
    beside = {path.stem for path in FILES if not room(path)}
    assert beside == BESIDE_THE_ROOMS | ABOVE_THE_ROOMS


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
    assert folders - {"__pycache__", "templates"} == set(MAY_IMPORT)


def test_imports_are_absolute_and_public():
    def check(_, tree):
        for module in imports(tree):
            if module.startswith(".") or ".src" in module:
                yield f"imports {module}"
            elif module.split(".")[0] in ("pickle", "dill", "cloudpickle"):
                yield f"imports {module}"

    assert violations(check) == []


# Keras lets one sample weight through. It is written where texts become
# batches, and read where Keras hands a batch over; in between nobody needs to
# know how two tensors are one.
WRITE_THE_SAMPLE_WEIGHT = {
    "data/texts.py": "`Texts` become a batch for Keras",
    "ops/old_names.py": "ends with version 0.3",
}
READ_THE_SAMPLE_WEIGHT = {
    "data/texts.py": "a batch of Keras becomes `Texts`",
    "losses/token_loss.py": "Keras calls losses and trainers",
    "ops/old_names.py": "ends with version 0.3",
    "trainers/rollouts.py": "buffers saved before version 0.3 are read",
}
MAKE_A_KERAS_BATCH = {
    "data/chats.py": "conversations become demonstrations",
    "data/packing.py": "packed texts become demonstrations",
    "data/pairs.py": "prompts and responses become demonstrations",
    "trainers/online_trainer.py": "Keras updates with rollouts",
}
READ_A_KERAS_BATCH = {
    "data/batches.py": "batches are checked, of whoever made them",
    "trainers/online_trainer.py": "Keras hands a batch to a step",
}


@pytest.mark.parametrize(
    ("function", "borders"),
    [
        ("encode_sample_weight", WRITE_THE_SAMPLE_WEIGHT),
        ("decode_sample_weight", READ_THE_SAMPLE_WEIGHT),
        ("as_keras_batch", MAKE_A_KERAS_BATCH),
        ("as_texts", READ_A_KERAS_BATCH),
    ],
)
def test_the_sample_weight_is_written_and_read_at_the_border(function, borders):
    users = {
        place(path)
        for path, tree in TREES.items()
        if any(name.split(".")[-1] == function for name in called(tree))
    }
    assert users == set(borders)


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
                is_known = owner in ("self", "cls", "super()", "os")
                if node.attr in PRIVATE or not (
                    is_known or node.attr in allowed
                ):
                    yield f"line {node.lineno}: {owner}.{node.attr}"
            # A name in a string reaches as far.
            if isinstance(node, ast.Constant) and node.value in PRIVATE:
                yield f"line {node.lineno}: {node.value!r}"

    assert violations(check) == []


# Of Keras and keras-hub, also where a subclass has them; all were used here.
PRIVATE = {
    *("_flatten_layers", "_build_cache", "_layers", "_kernel", "_tracker"),
    *("_trainable_variables", "_iterations", "_use_cached_eval_dataset"),
    *("_symbolic_build", "pythonify_logs"),
}


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
    def check(path, tree):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in ("hasattr", "setattr", "delattr"):
                yield f"line {node.lineno}: calls {name}"
            if name == "getattr" and len(node.args) > 2:
                yield f"line {node.lineno}: getattr with a default"
            # What others have under a name that is only known when it is
            # asked for.
            if re.fullmatch(r"vars\(.*\)\.get", name):
                if place(path) != SEAMS:
                    yield f"line {node.lineno}: {name}, a getattr by its name"

    assert violations(check) == []


def test_a_type_is_recognized_by_itself_and_not_by_its_name():
    def check(path, tree):
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and room(path) != "families":
                sides = map(ast.unparse, (node.left, *node.comparators))
                if any(re.fullmatch(r"type\(.*\)\.__name__", s) for s in sides):
                    yield f"line {node.lineno}: {ast.unparse(node)}"

    assert violations(check) == []


FAMILY_CLASSES = ("CausalLM", "Seq2SeqLM", "Preprocessor", "Backbone")


def test_families_are_known_in_their_room_alone():
    def check(path, tree):
        if room(path) == "families":
            return
        for text in strings(tree):
            if text.startswith("decoder_") or text == "position_ids":
                yield f"spells {text!r}"
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "isinstance",
                "issubclass",
            ):
                kind = ast.unparse(node.args[1])
                if kind.endswith(FAMILY_CLASSES):
                    yield f"line {node.lineno}: {ast.unparse(node)}"

    assert violations(check) == []


def test_keyword_arguments_are_passed_on_to_keras_alone():
    def check(path, tree):
        # A wrapper takes whatever the function takes that it wraps.
        if place(path) == "aliases.py":
            return
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


def num_lines(function):
    """Lines of signature and body, without those of the docstring."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def test_functions_are_short():
    def check(_, tree):
        for function in functions(tree):
            lines = num_lines(function)
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


# Overridden, or called by position by the loops of a backend.
POSITIONAL = (
    "generation/samplers.py: TokenSampler.run_loop",
    "generation/samplers.py: BranchingSampler.run_loop",
    "trainers/trainer.py: Trainer.compute_loss",
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


# Every command has these, and every backend its kernels.
SHARED_NAMES = {"add_arguments", "check", "run"}
OF_EACH_BACKEND = {
    *("HeadTiles", "Slopes", "largest_tile", "statistics_of_tokens"),
}


def test_no_two_modules_define_one_name():
    places = collections.defaultdict(set)
    for path, tree in TREES.items():
        shared = SHARED_NAMES if room(path) == "cli" else set()
        if place(path) in {f"ops/kernels/{name}.py" for name in BACKENDS}:
            shared = OF_EACH_BACKEND
        for node in tree.body:
            if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
                if not (is_private(node.name) or node.name in shared):
                    places[node.name].add(place(path))
    assert {n: found for n, found in places.items() if len(found) > 1} == {}


def commands():
    """Names of the commands, as the parser lists them."""
    tree = TREES[PACKAGE / "cli" / "parser.py"]
    for node in tree.body:
        if isinstance(node, ast.Assign):
            if ast.unparse(node.targets[0]) == "COMMANDS":
                return [ast.literal_eval(key) for key in node.value.keys]
    return []


def test_a_command_is_a_file_of_its_name_with_its_flags_and_its_work():
    assert len(commands()) > 5
    for name in commands():
        tree = TREES[PACKAGE / "cli" / f"{name}.py"]
        found = dict(public_functions(tree))
        assert SHARED_NAMES <= found.keys(), name
        # Help comes at once: what takes seconds to import, functions do.
        at_once = ast.Module([n for n in tree.body if is_import(n)], [])
        for module in imports(at_once):
            first, *rest = module.split(".")
            is_light = rest[:1] == ["cli"] or module == "keras_irl.types"
            assert first in sys.stdlib_module_names or is_light, module


def is_import(node):
    return isinstance(node, (ast.Import, ast.ImportFrom))


def test_nothing_but_the_parser_imports_a_command():
    # From a flag on, the walk goes down: what commands share is no command.
    def check(path, tree):
        if room(path) != "cli" or path.stem == "parser":
            return
        modules = {f"keras_irl.cli.{name}" for name in commands()}
        for module in modules.intersection(imported_names(tree)):
            yield f"imports {module}"

    assert violations(check) == []


# Where a flag is defined: by the command that has it, or with those that are
# shared by all commands, or by those that train.
FLAGS = {"flags.py", "training_flags.py"}


def test_flags_are_defined_by_a_command_or_with_the_shared_ones():
    allowed = FLAGS | {f"{name}.py" for name in commands()}

    def check(path, tree):
        if path.name in allowed or place(path) == "cli/config.py":
            return  # A config finds its own flag before the parser does.
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                if node.attr in ("add_argument", "add_argument_group"):
                    yield f"line {node.lineno}: {ast.unparse(node)}"

    assert violations(check) == []


def test_messages_of_the_command_line_are_not_rewritten():
    # An error names its arguments, and the command line the flags of these.
    for name in ("error_messages.py", "early_checks.py", "../__main__.py"):
        tree = TREES[(PACKAGE / "cli" / name).resolve()]
        calls = [c for c in called(tree) if c.endswith((".replace", ".sub"))]
        assert calls == [], name


# What keras-hub calls, and its own method returns.
OF_THEIRS = ("keras_seams.py: call_decoder_with_cache",)


def handed_on(function):
    """Tuples that a function returns, keeps for later, or reads a part of."""
    for node in ast.walk(function):
        if isinstance(node, (ast.Return, ast.Yield)):
            yield node.value
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name.endswith((".append", ".add", ".appendleft", ".put")):
                yield from node.args
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    yield node.value
                # Whether a name has names of its own can't be told, but a
                # slice has none.
                if isinstance(node.value, ast.Subscript):
                    if isinstance(node.value.slice, ast.Slice):
                        yield target


def nameless_tuples(function):
    """Tuples of more than two meanings, each as the list of its parts."""
    for value in handed_on(function):
        if isinstance(value, ast.Tuple) and len(value.elts) > 2:
            names = [ast.unparse(x) for x in value.elts]
            # Keras takes `(x, y, sample_weight)`, and no names.
            is_batch = names[:2] == ["inputs", "actions"]
            # What goes on to others as it came is no tuple of its own.
            is_passed = any(name.startswith("*") for name in names)
            if not (is_batch or is_passed):
                yield names


def test_no_tuple_without_names_has_more_than_two_meanings():
    def check(path, tree):
        for function in functions(tree):
            if f"{place(path)}: {function.name}" not in OF_THEIRS:
                for names in nameless_tuples(function):
                    yield f"{function.name} has ({', '.join(names)})"

    assert violations(check) == []


@pytest.mark.parametrize(
    ("line", "is_found"),
    [
        ("return a, b, c", True),
        ("found.append((a, b, c))", True),
        ("self.columns = (a, b, c)", True),
        ("a, b, c = found[:3]", True),
        ("a, b, c = found", False),
        ("found.append((a, b))", False),
        ("return a, *found", False),
        ("return inputs, actions, mask", False),
    ],
)
def test_a_tuple_without_names_is_found(line, is_found):
    (function,) = ast.parse(f"def function():\n    {line}").body
    assert bool([*nameless_tuples(function)]) == is_found


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


def test_an_argument_that_may_be_none_says_so():
    # mypy is not asked: attributes that subclasses redefine have no type yet.
    def check(_, tree):
        for name, function in public_functions(tree):
            args = function.args
            named = [*args.posonlyargs, *args.args]
            named = named[len(named) - len(args.defaults) :] + args.kwonlyargs
            defaults = [*args.defaults, *args.kw_defaults]
            for argument, default in zip(named, defaults, strict=True):
                is_none = isinstance(default, ast.Constant) and (
                    default.value is None
                )
                said = ast.unparse(argument.annotation or default)
                if is_none and not re.search(OR_NONE, said):
                    yield f"{name}({argument.arg}: {said})"

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


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts)


def test_every_module_has_a_test_or_is_private_to_one_that_has():
    # An `__init__` only offers names, and what is neither function nor class
    # has nothing to be tested.
    modules = {
        path
        for path, tree in TREES.items()
        if path.stem != "__init__"
        and any(isinstance(n, (ast.ClassDef, *FUNCTIONS)) for n in tree.body)
    }
    is_tested = {
        path: (
            ROOT
            / "tests"
            / path.relative_to(PACKAGE).parent
            / f"{path.stem.strip('_')}_test.py"
        ).exists()
        for path in modules
    }
    importers = collections.defaultdict(set)
    for path in modules:
        for name in imported_names(TREES[path]):
            importers[name].add(path)

    def is_private_to_a_tested_one(path):
        found = importers[module_name(path)]
        return len(found) == 1 and all(is_tested[other] for other in found)

    assert [
        place(path)
        for path in sorted(modules)
        if not is_tested[path] and not is_private_to_a_tested_one(path)
    ] == []


def imported_names(tree):
    """Modules that are imported, also by `from room import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{a.name}" for a in node.names)


def annotations(tree):
    """Words of the types in a file's signatures and fields."""
    for node in ast.walk(tree):
        found = []
        if isinstance(node, FUNCTIONS):
            found = [node.returns]
        elif isinstance(node, (ast.arg, ast.AnnAssign)):
            found = [node.annotation]
        for annotation in found:
            if annotation is not None:
                yield from re.findall(r"\w+", ast.unparse(annotation))


def defined_names(tree):
    """Names that a file defines, and does not import."""
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)):
            yield node.name
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id


def test_what_no_other_file_names_is_private():
    # Tests, guides and the documentation count; so do the types of what a
    # public function takes and returns.
    folders = ("keras_irl", "tests", "benchmarks", "guides", "docs")
    words = {
        path: set(re.findall(r"\w+", path.read_text("utf-8")))
        for folder in folders
        for ending in ("py", "md", "html")
        for path in (ROOT / folder).rglob(f"*.{ending}")
        if not {"build", "made"} & set(path.parts)
    }
    counts = collections.Counter(w for found in words.values() for w in found)

    def check(path, tree):
        known = set(annotations(tree))
        for name in defined_names(tree):
            is_alone = counts[name] == 1 and name not in known
            if is_alone and not name.startswith("_"):
                yield name

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


def test_docstrings_begin_with_a_concept_and_not_with_a_clause():
    clauses = {"what", "how", "which", "where", "when", "who"}

    def check(_, tree):
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)):
                text = ast.get_docstring(node)
                if text and text.split()[0].lower() in clauses:
                    yield text.splitlines()[0]

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
        # It ends in the message of another error, which says it.
        for message in node.args[:1]:
            if isinstance(message, ast.JoinedStr):
                last = message.values[-1]
                if isinstance(last, ast.FormattedValue):
                    return ast.unparse(last.value) == "error"
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


def test_hooks_have_the_versions_that_are_tested():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    pinned = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    versions = {line.partition(" ;")[0] for line in pinned}
    used = [
        requirement.strip().strip('"')
        for line in hooks.splitlines()
        if "additional_dependencies" in line
        for requirement in line.partition("[")[2].strip(" ]").split(",")
    ]
    assert used and set(used) <= versions


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


def module_needs(trees):
    """The modules that each one imports, of those whose trees are given.

    Args:
        trees: Dictionary from the names of modules to their trees.
    """
    return {
        module: {name for name in imported_names(tree) if name in trees}
        for module, tree in trees.items()
    }


def check_no_circle(trees):
    graphlib.TopologicalSorter(module_needs(trees)).prepare()


def test_no_two_modules_need_each_other():
    """Also an import within a function is a step back for a reader."""
    check_no_circle(
        {
            module_name(path).removesuffix(".__init__"): tree
            for path, tree in TREES.items()
        }
    )


@pytest.mark.parametrize(
    "line",
    [
        "import room.above",
        "from room.above import function",
        "from room import above",
        "def function():\n    from room import above",
    ],
)
def test_a_circle_of_modules_is_found(line):
    modules = {"room.above": "import room.below", "room.below": line}
    trees = {name: ast.parse(text) for name, text in modules.items()}
    with pytest.raises(graphlib.CycleError):
        check_no_circle(trees)


def test_a_circle_through_what_a_room_offers_is_found():
    modules = {"room": "from room.one import name", "room.one": "import room"}
    trees = {name: ast.parse(text) for name, text in modules.items()}
    with pytest.raises(graphlib.CycleError):
        check_no_circle(trees)


# Words that say nothing in the name of a thing; the glossary has those of the
# field.
EMPTY_WORDS = {
    *("alike", "apart", "bare", "examine", "findings", "lent", "ours"),
    *("readings", "theirs", "ways", "window"),
}
# An alias until version 0.3.
OLD_NAME = "diagnosis/checkup.py: defines findings"


def given_names(tree):
    """Every name that a file gives: to functions, arguments and variables."""
    yield from own_names(tree)
    yield from (n.arg for n in ast.walk(tree) if isinstance(n, ast.arg))


def test_names_are_of_the_field():
    def check(path, tree):
        for name in {path.stem, *given_names(tree)}:
            if EMPTY_WORDS.intersection(name.lower().split("_")):
                yield f"defines {name}"

    assert violations(check) == [OLD_NAME]


def test_no_name_is_looked_for_among_attributes_with_a_default():
    def check(path, tree):
        # A command has the flags that it has.
        if place(path) == SEAMS or room(path) == "cli":
            return
        for name in called(tree):
            if re.fullmatch(r"vars\(.*\)\.(get|setdefault)", name):
                yield f"calls {name}"

    assert violations(check) == []


def test_named_tuples_have_types():
    def check(_, tree):
        for name in called(tree):
            if name.endswith("namedtuple"):
                yield f"calls {name}"

    assert violations(check) == []


def test_no_function_of_another_is_known_by_its_name():
    def check(path, tree):
        if place(path) == SEAMS:
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "co_name":
                yield f"line {node.lineno}: {ast.unparse(node)}"

    assert violations(check) == []


# What a model compiles, and how a distribution divides data.
STATE_OF_OTHERS = {
    *("train_function", "test_function", "predict_function"),
    *("auto_shard_dataset",),
}


def test_no_state_of_another_object_is_set():
    # Nor what Keras has set on an object of ours.
    def check(path, tree):
        if place(path) == SEAMS:
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                if isinstance(node.ctx, (ast.Store, ast.Del)):
                    if node.attr in STATE_OF_OTHERS:
                        yield f"line {node.lineno}: sets {ast.unparse(node)}"

    assert violations(check) == []


# Overridden, or called by position by Keras, keras-hub or a backend.
CALLED_BY_POSITION = (
    *POSITIONAL,
    "generation/beam_search.py: __call__",
    "generation/samplers.py: __call__",
    "generation/samplers.py: run_loop",
    "ops/kernels/torch.py: forward",
    "trainers/trainer.py: compute_loss",
)


def test_private_functions_name_their_arguments_beyond_the_fourth():
    def check(path, tree):
        for function in functions(tree):
            args = function.args
            arguments = [*args.posonlyargs, *args.args]
            count = sum(a.arg not in ("self", "cls") for a in arguments)
            known = f"{place(path)}: {function.name}"
            if count > 4 and not known.startswith(CALLED_BY_POSITION):
                yield f"{function.name} has {count} positional arguments"

    assert violations(check) == []
