"""What is read from a file can be reported, or is damaged."""

import numpy as np
import pytest

from keras_irl.evaluation.results import check_run
from keras_irl.evaluation.results import finite

RUN = {
    "rows": [
        {"decoder": "T=1", "metrics": {"bleu": 1.0}, "responses": [["a"]]}
    ],
    "samples": [{"prompt": "a", "references": ["b"], "responses": []}],
}


def test_a_whole_run_can_be_reported():
    check_run(RUN)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": None},
        {"rows": []},
        {"rows": [1]},
        {"rows": [RUN["rows"][0] | {"metrics": []}]},
        {"rows": [RUN["rows"][0] | {"metrics": {"bleu": "1"}}]},
        {"rows": [{"decoder": "T=1"}]},
        {"samples": ["a"]},
        {"samples": [{"prompt": None, "references": [], "responses": []}]},
    ],
)
def test_a_run_that_can_not_be_reported_is_damaged(wrong):
    with pytest.raises(ValueError, match="Received: "):
        check_run(RUN | wrong)


def test_numpy_values_become_plain():
    value = {"a": np.float32(0.5), "b": [np.int64(3), True, None, "x"]}
    plain, not_finite = finite(value)
    assert plain == {"a": 0.5, "b": [3, True, None, "x"]}
    assert type(plain["b"][0]) is int
    assert plain["b"][1] is True
    assert not_finite == []
