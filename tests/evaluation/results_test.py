"""What is read from a file can be reported, or is damaged."""

import pytest

from keras_irl.evaluation.results import check_run

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
