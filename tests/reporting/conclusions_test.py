import re

import pytest

from keras_irl.reporting.conclusions import front_conclusion
from keras_irl.reporting.conclusions import headline
from keras_irl.reporting.conclusions import result_sentences

FRONT = {
    "policy": "two",
    "self_bleu_low": 10.0,
    "self_bleu_high": 20.0,
    "difference": 3.0,
    "difference_low": 1.0,
    "difference_high": 5.0,
    "runs": 2,
    "warning": None,
    "reason": None,
}


def conclusion(**changes):
    first = {"policy": "one", "runs": 2}
    fronts = [first, FRONT | changes]
    return front_conclusion({"fronts": fronts, "metric": "bleu"})


def test_a_difference_is_told_with_where_and_its_interval():
    assert conclusion() == (
        "At equal Self-BLEU, 10.0 to 20.0, bleu of two is 3.00 higher than "
        "that of one on average (95 % interval of the difference over prompts "
        "and training runs: +1.00 to +5.00); two is better there."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"difference": -3.0, "difference_low": -5.0, "difference_high": -1},
            "3.00 lower than.*; one is better there.$",
        ),
        ({"difference_low": -1.0}, "; which of them is better is not known.$"),
        ({"runs": 1}, "as far as one training run of two tells.$"),
        ({"warning": "few points"}, "; few points.$"),
        (
            {"difference_low": None, "reason": "too few prompts"},
            "on average, without an interval: too few prompts.$",
        ),
        (
            {"difference": None, "reason": "they do not overlap"},
            "^two and one were not compared at equal diversity: they do not",
        ),
    ],
)
def test_the_sentence_says_what_is_known(changes, said):
    assert re.search(said, conclusion(**changes))


def results_of(numbers, **front):
    """Results with a metric of each policy, greedily, and its error."""
    objectives = {
        name: [
            {
                "rows": [
                    {
                        "decoder": "greedy",
                        "metrics": {"bleu": mean},
                        "standard_errors": {"bleu": error} if error else {},
                    }
                ]
            }
        ]
        for name, (mean, error) in numbers.items()
    }
    fronts = [{"policy": "one", "runs": 1}, FRONT | front] if front else None
    return {"objectives": objectives, "metric": "bleu", "fronts": fronts}


@pytest.mark.parametrize(
    ("two", "front", "said"),
    [
        (
            (60.9, 1.0),
            {"difference": 1.9, "difference_low": 1.6, "difference_high": 2.2},
            "two is as good as one greedily (60.9 ± 1.0 against 60.3 ± 0.8 "
            "bleu), but better at equal diversity (+1.9, 95 % +1.6 to +2.2).",
        ),
        (
            (70.0, 1.0),
            {"difference": 1.9},
            "two is better than one greedily (70.0 ± 1.0 against 60.3 ± 0.8 "
            "bleu) and better at equal diversity (+1.9, 95 % +1.0 to +5.0).",
        ),
        (
            (50.0, 1.0),
            {"difference_low": -1.0},
            "two is worse than one greedily (50.0 ± 1.0 against 60.3 ± 0.8 "
            "bleu), but as good at equal diversity (+3.0, 95 % -1.0 to +5.0).",
        ),
        (
            (50.0, None),
            {"difference_low": None},
            "two is worse than one greedily (50.0 against 60.3 ± 0.8 bleu), "
            "but better at equal diversity (+3.0, no interval).",
        ),
        (
            (60.3, None),
            {},
            "two is as good as one greedily (60.3 against 60.3 ± 0.8 bleu).",
        ),
    ],
)
def test_a_headline_says_what_came_out(two, front, said):
    assert headline(results_of({"one": (60.3, 0.8), "two": two}, **front)) == (
        said
    )


def test_a_headline_says_what_there_is():
    alone = results_of({"one": (60.3, 0.8)})
    assert headline(alone) == "one has a bleu of 60.3 ± 0.8 greedily."
    without = results_of({"one": (60.3, 0.8), "two": (1.0, 0.1)}, runs=1)
    for runs in without["objectives"].values():
        runs[0]["rows"][0]["decoder"] = "T=1"
    assert headline(without) == (
        "two is better at equal diversity (+3.0, 95 % +1.0 to +5.0), compared "
        "with one."
    )
    assert headline(without | {"fronts": None}) == ""


def test_nothing_is_said_where_fronts_were_not_compared():
    assert front_conclusion({"fronts": None, "metric": "bleu"}) == ""


def test_a_metric_is_told_of_every_decoding_with_its_error():
    def run(bleu, **others):
        row = {"temperature": 0.5, "num_samples": 2, "seed": 0, "replica": 0}
        return {"rows": [{**row, "bleu": bleu, **others}]}

    results = {
        "metric": "bleu",
        "objectives": {
            "mle": [run(10.0, self_bleu=40.0), run(14.0, self_bleu=40.0)],
            "iqlearn": [run(20.0, self_bleu=30.0)],
        },
    }
    (sentence,) = result_sentences(results)
    assert sentence == (
        "bleu, T=0.5: mle 12.0 ± 2.0, iqlearn 20.0; Self-BLEU, the lower the "
        "more diverse: mle 40.0 ± 0.0, iqlearn 30.0."
    )
