import os

# Keras reads the backend once, at its first import.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import gc  # noqa: E402

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
# Tracing makes so many objects that looking for garbage takes a tenth of it.
gc.freeze()
gc.set_threshold(200_000, 20, 100)


def pytest_collection_modifyitems(items):
    order = {name: i for i, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


@pytest.fixture(autouse=True)
def seeded():
    """Every test starts from the same random numbers, alone or in a suite."""
    keras.utils.set_random_seed(0)
