import math

import pytest
from report_test import make_results
from report_test import make_row

from keras_irl.evaluation.summary import error_source
from keras_irl.evaluation.summary import estimate
from keras_irl.evaluation.summary import history_estimates
from keras_irl.evaluation.summary import row_estimates


@pytest.fixture
def results():
    return make_results()


def test_errors_are_over_runs_then_seeds_then_prompts(results):
    runs = results["objectives"]["mle"]
    for run in runs:
        for row in run["rows"]:
            row["standard_errors"] = {"bleu": 7.0}
    assert row_estimates(runs)["T=1"]["bleu"].standard_error == 1.0
    assert error_source(results) == "training runs"
    one = runs[:1]
    assert row_estimates(one)["T=1"]["bleu"].standard_error == 7.0
    assert row_estimates(one)["T=1"]["chrf"].standard_error is None
    assert error_source({"objectives": {"mle": one}}).startswith("prompts")
    rows = [make_row(1.0, q, 50.0) | {"seed": i} for i, q in enumerate((3, 5))]
    seeds = [{"rows": rows}]
    assert row_estimates(seeds)["T=1"]["bleu"].standard_error == 1.0
    mixed = {"objectives": {"mle": seeds, "iqlearn": runs, "gail": one}}
    assert error_source(mixed) == (
        "training runs, else over seeds of the samples, "
        "else over prompts drawn anew"
    )


def test_estimates_a_mean_and_its_standard_error():
    found = estimate([1.0, 2.0, 6.0])
    assert found.mean == 3.0
    assert found.standard_error == pytest.approx(math.sqrt(7.0 / 3.0))
    assert estimate([1.0]).standard_error is None
    assert estimate([None, None]) is None
    assert math.isnan(estimate([1.0, math.nan]).mean)


def test_rows_are_matched_by_temperature(results):
    rows = row_estimates(results["objectives"]["mle"])
    assert list(rows) == ["greedy", "T=0.5", "T=1"]
    assert rows["T=0.5"]["bleu"].mean == 41.0
    assert rows["greedy"]["self_bleu"] is None


def test_histories_meet_at_the_steps_of_all_seeds(results):
    runs = results["objectives"]["mle"]
    runs[1]["history"] = {"step": [10], "negative_log_likelihood": [4.0]}
    curve = history_estimates(runs, "negative_log_likelihood")
    assert {step: e.mean for step, e in curve.items()} == {10: 3.0}
    assert history_estimates([{}], "negative_log_likelihood") == {}
