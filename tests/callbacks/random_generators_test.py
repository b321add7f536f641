import json
import random
import sys

import keras
import numpy as np
from testing import numpy

from keras_irl.callbacks.random_generators import random_states
from keras_irl.callbacks.random_generators import restore_random_states


def draws():
    drawn = [random.random(), random.gauss(0.0, 1.0), np.random.normal()]
    drawn += numpy(keras.random.normal((2,))).tolist()
    if "torch" in sys.modules:
        drawn.append(float(sys.modules["torch"].rand(())))
    return drawn


def test_all_generators_go_on_as_they_would_have():
    # One draw of two normal numbers is kept for the next.
    draws()
    state = json.loads(json.dumps(random_states()))
    first = draws()
    assert draws() != first
    restore_random_states(state)
    assert draws() == first
    assert draws() != first
