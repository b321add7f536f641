"""Results become plain values, as files hold them."""

import numpy as np

from keras_irl.evaluation.results import finite


def test_numpy_values_become_plain():
    value = {"a": np.float32(0.5), "b": [np.int64(3), True, None, "x"]}
    plain, not_finite = finite(value)
    assert plain == {"a": 0.5, "b": [3, True, None, "x"]}
    assert type(plain["b"][0]) is int
    assert plain["b"][1] is True
    assert not_finite == []
