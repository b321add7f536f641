"""Fronts of made-up rows, against drawing the texts, and by hand."""

import types

import numpy as np
import pytest
import scipy.stats

from keras_irl.evaluation import area_under_front
from keras_irl.evaluation import compare_fronts
from keras_irl.evaluation.fronts import quality_difference
from keras_irl.evaluation.judging import judge
from keras_irl.generation.responses import Responses
from keras_irl.metrics import bleu
from keras_irl.metrics import mean_over_texts
from keras_irl.metrics import self_bleu
from keras_irl.metrics.bootstrap import resampling_weights
from keras_irl.reporting.conclusions import front_conclusion

WORDS = "a b c d e f g h".split()
NUM_PROMPTS = 12


def texts(seed, num_samples, num_words=3):
    random = np.random.RandomState(seed)
    words = WORDS[:num_words]
    return [
        [" ".join(random.choice(words, 6)) for _ in range(num_samples)]
        for _ in range(NUM_PROMPTS)
    ]


def make_task(**metrics):
    references = [samples * 2 for samples in texts(99, 2)]
    return types.SimpleNamespace(
        prompts=list(map(str, range(NUM_PROMPTS))),
        references=references,
        metrics=metrics or {"bleu": bleu},
        sample_metrics={},
    )


def make_row(policy, task, temperature, seed, num_samples=3):
    samples = texts(seed, num_samples, round(1 + 2 * temperature))
    shape = (NUM_PROMPTS, num_samples)
    responses = Responses(samples, np.ones(shape), np.ones(shape), 1.0)
    name = f"T={temperature:g}"
    row = {"policy": policy, "decoder": name, "temperature": temperature}
    return row | judge(responses, task)


def found_with(rows, task, **arguments):
    """What is found of the second policy, and the sentence about it."""
    fronts = compare_fronts(rows, task, **arguments)
    metric = next(iter(task.metrics))
    return fronts[1], front_conclusion({"fronts": fronts, "metric": metric})


def test_differences_of_bleu_are_those_of_the_texts_that_were_drawn():
    task = make_task()
    plan = [("one", 0.5, 1), ("one", 1.0, 2), ("two", 0.5, 3), ("two", 1.0, 4)]
    rows = [make_row(name, task, t, seed) for name, t, seed in plan]
    rows.insert(0, make_row("one", task, 0.0, 5, num_samples=1))
    two, _ = found_with(rows, task, num_resamples=20, seed=3)

    def points(rows, drawn):
        for row in rows:
            samples = [row["responses"][i] for i in drawn]
            references = [task.references[i] for i in drawn]
            columns = map(list, zip(*samples, strict=True))
            quality = np.mean([bleu(c, references) for c in columns])
            yield quality, 100 - self_bleu(samples)

    def difference(drawn):
        own, first = (list(points(x, drawn)) for x in (rows[3:], rows[1:3]))
        return quality_difference(own, first)

    everyone = np.arange(NUM_PROMPTS)
    draws = resampling_weights(NUM_PROMPTS, 20, seed=3)
    drawn = [difference(np.repeat(everyone, counts)).value for counts in draws]
    expected = difference(everyone)
    assert two["points"] == ["T=0.5", "T=1"]
    assert two["difference"] == pytest.approx(expected.value)
    assert two["self_bleu_low"] == pytest.approx(100 - expected.high)
    assert two["self_bleu_high"] == pytest.approx(100 - expected.low)
    width = scipy.stats.t.ppf(0.975, NUM_PROMPTS - 1) * np.sqrt(
        np.var(drawn, ddof=1) * NUM_PROMPTS / (NUM_PROMPTS - 1)
    )
    assert two["difference_low"] == pytest.approx(expected.value - width)
    assert two["difference_high"] == pytest.approx(expected.value + width)
    assert two["reason"] == two["warning"] == ""


LINE = mean_over_texts(lambda *_: [])
FIVE = (0.25, 0.5, 0.75, 1.0, 1.25)


def line_task(num_prompts=40):
    return types.SimpleNamespace(
        prompts=list(range(num_prompts)), metrics={"m": LINE}
    )


def line_rows(policy, better=0.0, moved=0.0, run=0, temperatures=FIVE):
    """A policy on a line of quality against Self-BLEU, prompt by prompt.

    A temperature that is `moved` stands elsewhere on the line, and a policy
    that is `better` on another line.
    """
    prompts = np.random.default_rng(0).normal(0, 6, 40)
    for temperature in temperatures:
        alike = 95 - 50 * (temperature + moved) + prompts
        quality = 20 + 0.6 * alike + better
        yield {
            "policy": policy,
            "replica": run,
            "decoder": f"T={temperature:g}",
            "temperature": temperature,
            "metrics": {"m": quality.mean()},
            "statistics": {"m": quality[:, None, None].tolist()},
            "self_bleu": alike.mean(),
            "prompt_self_bleu": alike.tolist(),
        }


def areas_of(rows):
    return [
        area_under_front(
            [
                (row["metrics"]["m"], 100 - row["self_bleu"])
                for row in rows
                if row["policy"] == policy
            ]
        )
        for policy in ("mle", "iqlearn")
    ]


@pytest.mark.parametrize("moved", [-0.1, 0.1, 0.3])
def test_policies_whose_fronts_coincide_are_equal_at_any_temperatures(moved):
    rows = [*line_rows("mle"), *line_rows("iqlearn", moved=moved)]
    found, sentence = found_with(rows, line_task())
    assert found["difference"] == pytest.approx(0.0, abs=1e-9)
    assert found["difference_low"] <= 0.0 <= found["difference_high"]
    assert found["difference_high"] - found["difference_low"] < 1e-6
    assert "is not known" in sentence
    # By area, whoever reaches a lower Self-BLEU would be the better one.
    one, other = areas_of(rows)
    assert abs(one - other) > 1 and (other > one) == (moved > 0)


@pytest.mark.parametrize("better", [-3.0, 2.0])
def test_a_policy_that_is_better_everywhere_is_so_by_that_much(better):
    mle = list(line_rows("mle"))
    iqlearn = list(line_rows("iqlearn", better, moved=0.2))
    found, sentence = found_with([*mle, *iqlearn], line_task())
    assert found["difference"] == pytest.approx(better)
    assert found["difference_low"] == pytest.approx(better, abs=1e-6)
    winner = "iqlearn" if better > 0 else "mle"
    assert f"{winner} is better there" in sentence
    swapped, _ = found_with([*iqlearn, *mle], line_task())
    for end, other in (("", ""), ("_low", "_high"), ("_high", "_low")):
        expected = -found[f"difference{other}"]
        assert swapped[f"difference{end}"] == pytest.approx(expected)
    names = ("self_bleu_low", "self_bleu_high")
    assert [swapped[n] for n in names] == [found[n] for n in names]


def test_who_is_better_does_not_hang_on_which_temperatures_were_judged():
    """The mistake of areas: their sign follows the temperatures."""
    signs = set()
    for temperatures in ((0.5, 1.0), (0.5, 1.0, 1.5), FIVE):
        rows = [
            *line_rows("mle", temperatures=temperatures),
            *line_rows("iqlearn", -2.0, 0.2, temperatures=temperatures),
        ]
        found, _ = found_with(rows, line_task(), num_resamples=50)
        assert found["difference"] == pytest.approx(-2.0)
        one, other = areas_of(rows)
        signs.add(other > one)
    assert signs == {True, False}


def test_the_sentence_says_where_by_how_much_and_how_sure():
    rows = [*line_rows("mle"), *line_rows("iqlearn", 2.0)]
    found, sentence = found_with(rows, line_task())
    low, high = found["self_bleu_low"], found["self_bleu_high"]
    assert high - low == pytest.approx(50.0)
    assert sentence == (
        f"At equal Self-BLEU, {low:.1f} to {high:.1f}, m of iqlearn is "
        "2.00 higher than that of mle on average (95 % interval of the "
        "difference over "
        "prompts: +2.00 to +2.00); iqlearn is better there, as far as one "
        "training run of mle and iqlearn tells."
    )


def test_training_runs_are_drawn_too_those_of_a_number_together():
    effects = np.array([0.0, 1.0, 5.0])
    rows = []
    for run, effect in enumerate(effects):
        rows += line_rows("mle", run=run)
        rows += line_rows("iqlearn", 2.0 + effect, run=run)
    found, sentence = found_with(rows, line_task(), num_resamples=4000)
    assert found["runs"] == 3
    assert found["difference"] == pytest.approx(2.0 + effects.mean())
    width = scipy.stats.t.ppf(0.975, 2) * effects.std(ddof=1) / np.sqrt(3)
    half = (found["difference_high"] - found["difference_low"]) / 2
    assert half == pytest.approx(width, rel=0.04)
    assert "over prompts and training runs" in sentence
    assert "one training run" not in sentence
    # What both policies of a run share is no error.
    for row in rows:
        shared = 7.0 * row["replica"]
        added = np.array(row["statistics"]["m"]) + shared
        row["statistics"]["m"] = added.tolist()
    again, _ = found_with(rows, line_task(), num_resamples=4000)
    assert again["difference_low"] == pytest.approx(found["difference_low"])


def test_other_numbers_of_runs_are_drawn_apart():
    rows = list(line_rows("mle"))
    effects = np.array([0.0, 3.0])
    for run, effect in enumerate(effects):
        rows += line_rows("iqlearn", effect, run=run)
    found, sentence = found_with(rows, line_task(), num_resamples=4000)
    assert found["difference"] == pytest.approx(1.5)
    width = scipy.stats.t.ppf(0.975, 1) * effects.std(ddof=1) / np.sqrt(2)
    half = (found["difference_high"] - found["difference_low"]) / 2
    assert half == pytest.approx(width, rel=0.04)
    assert "as far as one training run of mle tells" in sentence


def test_seeds_of_a_run_are_one_point():
    rows = [*line_rows("mle"), *line_rows("iqlearn", 1.0)]
    once, _ = found_with(rows, line_task(), num_resamples=5)
    twice, _ = found_with(rows + rows, line_task(), num_resamples=5)
    assert once == twice


def test_ranges_that_barely_overlap_are_refused_or_warned_of():
    def found(moved):
        rows = [*line_rows("mle"), *line_rows("iqlearn", moved=moved)]
        return found_with(rows, line_task(), num_resamples=5)

    for moved, reason in ((1.2, "no Self-BLEU is"), (0.95, "barely overlap")):
        front, sentence = found(moved)
        assert front["difference"] is None
        assert reason in front["reason"] and reason in sentence
        assert "further temperatures" in sentence
    front, sentence = found(0.7)
    assert front["difference"] == pytest.approx(0.0, abs=1e-9)
    assert "only 30 % of the narrower range" in front["warning"]
    assert front["warning"] in sentence
    front, sentence = found(0.4)
    assert front["warning"] == ""


def test_says_why_there_is_no_difference_or_interval():
    rows = [*line_rows("mle"), *line_rows("iqlearn", 2.0)]
    single = [r for r in rows if r["policy"] == "mle" or r["decoder"] == "T=1"]
    front, sentence = found_with(single, line_task())
    assert front["difference"] is None
    assert "T=1 alone is a point, and no curve" in sentence
    # Of both, it is said once.
    both = [row for row in rows if row["decoder"] == "T=1"]
    fronts = compare_fronts([*both, *line_rows("gail")], line_task())
    assert fronts[1]["reason"] == "T=1 alone is a point, and no curve"
    assert fronts[2]["reason"] == f"of mle, {fronts[1]['reason']}"
    for row in single:
        if row["policy"] == "iqlearn":
            row["self_bleu"] = row["prompt_self_bleu"] = None
    front, sentence = found_with(single, line_task())
    assert "of iqlearn, there is no decoding with several" in sentence
    rows = [*line_rows("mle"), *line_rows("iqlearn", 2.0)]
    task = line_task()
    task.metrics = {"m": lambda *_: 40.0}
    front, sentence = found_with(rows, task)
    assert front["difference"] == pytest.approx(2.0)
    assert front["difference_low"] is None
    assert "m is not known text by text" in sentence
    nine = [
        row
        | {
            "prompt_self_bleu": row["prompt_self_bleu"][:9],
            "statistics": {"m": row["statistics"]["m"][:9]},
        }
        for row in rows
    ]
    front, sentence = found_with(nine, line_task(9))
    assert front["difference"] == pytest.approx(2.0)
    assert front["difference_low"] is None
    assert "fewer than 10 prompts" in sentence


ROW = {"policy": "one", "decoder": "T=1", "metrics": {"bleu": 1.0}} | {
    "self_bleu": 50.0,
    "prompt_self_bleu": [50.0] * NUM_PROMPTS,
}


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([], {}, r"at least one. Received: rows=\[\]"),
        ([ROW], {"metric": "rouge"}, "are bleu. Received: metric='rouge'"),
        ([ROW], {"num_resamples": 1}, "Received: num_resamples=1"),
        ([ROW], {"num_resamples": 1e12}, "Received: num_resamples=1000000000"),
        ([ROW], {"seed": None}, "Received: seed=None"),
        (
            [ROW | {"tokenize": "zh"}, ROW],
            {},
            "can't be compared.*Received: tokenize=13a, zh",
        ),
    ],
)
def test_refuses_what_has_no_front(rows, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare_fronts(rows, make_task(), **arguments)
