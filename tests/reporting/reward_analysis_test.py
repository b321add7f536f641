"""A reward analysis is reported with its settings, and with what is missing."""

import pytest

from keras_irl.metrics.bootstrap import Estimate
from keras_irl.reporting.reward_analysis import format_analysis
from keras_irl.rewards.correlations import Correlation
from keras_irl.rewards.selection import BestOfN

SETTINGS = {
    "task": "e2e",
    "data path": "/data/e2e|new.csv",
    "temperature": "1.0",
}
SAMPLES = {
    "num_prompts": 2,
    "task": "e2e",
    "split": "test",
    "temperature": 0.5,
    "seed": 3,
}
FEW = "fewer than 10 prompts give no interval"


def correlation(scope, estimate):
    return Correlation("bleu", "reward", scope, "spearman", estimate, 4, 2)


def gain():
    half = Estimate(5.0, 1.0, 9.0)
    return BestOfN(2, 40.0, 45.0, 41.0, 60.0, half, Estimate(4.0))


def results(**others):
    return {
        "policy": "runs/iqlearn-0.keras",
        "discount": 0.99,
        "value_offset": -20.0,
        "texts": [{}] * 4,
        "samples": SAMPLES,
        "correlations": [
            correlation("pooled", Estimate(0.25, 0.1, 0.4)),
            correlation("within prompt", Estimate(0.5, reason=FEW)),
        ],
        "best_of_n": {"bleu": [gain()]},
        "settings": SETTINGS,
        **others,
    }


def lines(**others):
    """The report, its tables without the spaces that align them."""
    text = format_analysis(results(**others))
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_title_names_policy_and_data_escaped():
    assert lines()[0] == "# Rewards of iqlearn-0 on e2e (e2e\\|new.csv)"


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({"data path": "none"}, "on e2e"),
        ({"task": "none", "data path": "/data/mine.jsonl"}, "on mine.jsonl"),
    ],
)
def test_the_data_are_a_task_or_a_file(settings, title):
    assert lines(settings=SETTINGS | settings)[0].endswith(title)


def test_it_says_which_texts_were_read_and_how():
    report = lines()
    assert report[2] == (
        "4 samples of runs/iqlearn-0.keras on 2 prompts of e2e, split test, "
        "T = 0.5, seed 3, each judged alone. Discount 0.99, value offset -20. "
        "Intervals are of 95 %, over resampled prompts."
    )
    assert lines(samples=None)[2].startswith("4 texts. Discount 0.99")


def test_correlations_stand_in_a_table_with_reasons_below():
    report = lines()
    assert "| bleu | pooled | reward | 2 | 0.25 (0.10 to 0.40) |" in report
    assert "| bleu | within prompt | reward | 2 | 0.50 |" in report
    place = report.index("Left out:")
    assert report[place + 2] == f"- spearman, within prompt, reward: {FEW}"


def test_gains_stand_in_a_table_a_metric():
    report = lines()
    place = report.index("## Best of n, bleu")
    row = next(x for x in report[place:] if x.startswith("| 2 |"))
    assert row == (
        "| 2 | 40.00 | 41.00 | 45.00 | 60.00 | 5.00 (1.00 to 9.00) | 4.00 |"
    )


def test_it_says_why_there_are_no_gains():
    report = lines(best_of_n={})
    assert "Best of n needs several samples of each prompt." in report
    assert not any(line.startswith("## Best") for line in report)


def test_settings_stand_at_the_end():
    report = lines()
    place = report.index("## Settings")
    assert "| temperature | 1.0 |" in report[place:]


def test_texts_without_a_metric_have_no_report():
    assert format_analysis(results(correlations=[])) == ""
