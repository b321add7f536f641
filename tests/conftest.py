import os

# Keras reads the backend once, at its first import.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")
# Tests of distribution need devices; the others use the first of them.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=8"
)

import gc  # noqa: E402
import pathlib  # noqa: E402

import keras  # noqa: E402
import pytest  # noqa: E402

# Those that take longest begin first: no worker is left alone with them.
SLOWEST = (
    "public_callables_test.py",
    "gail_test.py",
    "compare_test.py",
    "resume_test.py",
    "trainer_test.py",
    "online_iq_learn_test.py",
    "readme_test.py",
)
# What needs no backend runs with the quickest, unless its path is asked for.
BACKEND_FREE = (
    "metrics",
    "reporting",
    "tasks",
    "architecture_test.py",
    "arguments_test.py",
    "docstrings_test.py",
    "folders_test.py",
    "progress_test.py",
    "cli/chosen_decoders_test.py",
    "cli/decoder_types_test.py",
    "cli/early_checks_test.py",
    "cli/examine_test.py",
    "cli/held_out_test.py",
    "cli/kept_files_test.py",
    "cli/output_lock_test.py",
    "cli/terminal_test.py",
    "evaluation/front_comparison_test.py",
    "evaluation/fronts_test.py",
    "evaluation/results_test.py",
    "rewards/correlations_test.py",
    "rewards/corruptions_test.py",
    "rewards/heat_maps_test.py",
    "rewards/selection_test.py",
)
QUICKEST = "torch"
HERE = pathlib.Path(__file__).parent
# Tracing makes so many objects that looking for garbage takes a tenth of it.
gc.freeze()
gc.set_threshold(200_000, 20, 100)


def pytest_ignore_collect(collection_path, config):
    """Leaves out what another backend's run of the suite has seen."""
    if keras.config.backend() == QUICKEST or _names_a_path(config):
        return None
    try:
        place = collection_path.relative_to(HERE).as_posix()
    except ValueError:
        return None
    return True if place.startswith(BACKEND_FREE) else None


def _names_a_path(config):
    return any("tests" in arg for arg in config.invocation_params.args)


def pytest_collection_modifyitems(items):
    order = {name: i for i, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random numbers, alone or in a suite."""
    keras.utils.set_random_seed(0)
