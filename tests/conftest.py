import os
import pathlib

ROOT = pathlib.Path(__file__).parents[1]

# Keras reads the backend once, at its first import.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Nothing is downloaded. Without a network, a hub is asked again and again,
# unless it knows so before it is imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
# What JAX has compiled for a test is read by the next run.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
# Tests of distribution need devices; the others use the first of them.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8"
)

import gc  # noqa: E402
import json  # noqa: E402

import pytest  # noqa: E402
import suite_plan  # noqa: E402
from suite_plan import QUICKEST  # noqa: E402

HERE = pathlib.Path(__file__).parent
# Keras is imported by those who need it: who hands out the tests to others, who
# wait for it meanwhile, does not.
BACKEND = os.environ["KERAS_BACKEND"]
# What this process ran and left to others, of the tests of a whole suite.
RAN, LEFT = pytest.StashKey[set](), pytest.StashKey[set]()
# Tracing makes so many objects that looking for garbage takes a tenth of it.
gc.set_threshold(200_000, 20, 100)


def pytest_configure(config):
    config.stash[RAN], config.stash[LEFT] = set(), set()
    config.pluginmanager.register(Ran(config.stash[RAN]))


def pytest_ignore_collect(collection_path, config):
    """Does not even read what the quickest backend's run has seen."""
    if BACKEND == QUICKEST or _names_a_path(config):
        return None
    return True if suite_plan.is_backend_free(_place(collection_path)) else None


def pytest_collection_modifyitems(items, config):
    order = {name: i for i, name in enumerate(suite_plan.SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
    if _names_a_path(config) or suite_plan.EVERYWHERE in os.environ:
        return
    kept, left = [], []
    for item in items:
        (kept if BACKEND in _backends(item) else left).append(item)
    if left:
        items[:] = kept
        config.hook.pytest_deselected(items=left)
        # Slow ones run in `make nightly`, on every backend.
        config.stash[LEFT].update(
            item.nodeid
            for item in left
            if item.get_closest_marker("slow") is None
        )


def _place(path):
    return os.path.relpath(path, HERE).replace(os.sep, "/")


def _names_a_path(config):
    return any(
        "tests" in argument and not argument.startswith("-")
        for argument in config.invocation_params.args
    )


def _backends(item):
    """The backends on which `make test` runs a test."""
    marker = item.get_closest_marker("backends")
    if marker is not None:
        if not marker.args or not set(marker.args) <= set(suite_plan.BACKENDS):
            raise pytest.UsageError(
                f"{item.nodeid} must be run by one of {suite_plan.BACKENDS} "
                f"or more. Received: backends{marker.args}"
            )
        return marker.args
    test = f"{_place(item.path)}::{item.nodeid.partition('::')[2]}"
    return suite_plan.planned_backends(test, _family(item))


def _family(item):
    """The family of language models that a test is about."""
    from families import FAMILIES

    if "callspec" in vars(item):
        for value in item.callspec.params.values():
            if isinstance(value, str) and value in FAMILIES:
                return value
    return None


class Ran:
    """Notes each test that ran to its end, in whichever process."""

    def __init__(self, tests):
        self.tests = tests

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and not report.skipped:
            self.tests.add(report.nodeid)


def pytest_sessionfinish(session):
    """Tells the process that others work for what was left."""
    config = session.config
    left = config.stash[LEFT]
    if "workeroutput" in vars(config):
        config.workeroutput["left"] = sorted(left)
    elif suite_plan.RECORD in os.environ:
        folder = pathlib.Path(os.environ[suite_plan.RECORD])
        folder.mkdir(parents=True, exist_ok=True)
        record = {"ran": sorted(config.stash[RAN]), "left": sorted(left)}
        (folder / f"{BACKEND}.json").write_text(json.dumps(record), "utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    output = vars(node).get("workeroutput") or {}
    node.config.stash[LEFT].update(output.get("left", ()))


def pytest_terminal_summary(terminalreporter, config):
    count = len(config.stash[LEFT])
    if count:
        terminalreporter.write_line(
            f"{count} tests are run by other backends, and by {BACKEND} in "
            "`make nightly`."
        )


@pytest.fixture(autouse=True, scope="module")
def nothing_is_kept_of_a_file():
    """Frees the compiled steps of a file, which their models refer back to.

    What is alive before it stays so, modules above all: no collection looks at
    it again. Keras collects once for each layer that it quantizes.
    """
    gc.collect()
    gc.freeze()
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random numbers, alone or in a suite."""
    import keras

    keras.utils.set_random_seed(0)
