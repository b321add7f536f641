import types

import keras
import numpy as np
import pytest
import testing

from keras_irl.evaluation.sweeps import pick_samples
from keras_irl.evaluation.sweeps import sweep
from keras_irl.generation import BeamSearch
from keras_irl.generation import Sampling
from keras_irl.generation.decoders import decoders_of
from keras_irl.generation.drawing import CompiledSampler
from keras_irl.generation.responses import ResponseSampler
from keras_irl.metrics.diversity import distinct_n
from keras_irl.metrics.diversity import self_bleu
from keras_irl.metrics.quality import exact_match
from keras_irl.reporting.tables import format_table
from keras_irl.tasks.gsm8k import accuracy


def num_words(responses, references):
    assert len(responses) == len(references)
    return float(sum(len(text.split()) for text in responses))


def num_different(samples, references):
    return float(np.mean([len(set(texts)) for texts in samples]))


def make_task(**changes):
    task = {
        "prompts": testing.PROMPTS,
        "references": [[text] for text in testing.RESPONSES],
        "metrics": {"words": num_words, "zero": lambda *_: 0.0},
        "sample_metrics": {"different": num_different},
    }
    return types.SimpleNamespace(**(task | changes))


@pytest.fixture(scope="module")
def policies():
    keras.utils.set_random_seed(1)
    policy = testing.tiny_t5()
    return {"one": policy, "other": policy}


@pytest.fixture(scope="module")
def rows(policies):
    return sweep(
        policies,
        make_task(),
        temperatures=(0.0, 1),
        num_samples=3,
        max_length=6,
        batch_size=4,
    )


def test_has_a_row_for_each_policy_and_temperature(rows):
    found = [(row["policy"], row["temperature"]) for row in rows]
    assert found == [
        ("one", 0.0),
        ("one", 1.0),
        ("other", 0.0),
        ("other", 1.0),
    ]


def test_equal_policies_draw_equal_responses(rows):
    assert rows[1]["responses"] == rows[3]["responses"]


def test_greedy_decoding_draws_one_sample_and_has_no_diversity(rows):
    assert rows[0]["num_samples"] == 1
    assert rows[0]["self_bleu"] is None
    assert rows[0]["sample_metrics"] == {"different": None}
    assert list(rows[0]["metrics"]) == ["words", "zero"]


def test_samples_are_those_of_the_sampler(rows, policies):
    sampler = ResponseSampler(policies["one"], max_length=6, batch_size=4)
    responses = sampler(testing.PROMPTS, temperature=1.0, num_samples=3)
    row = rows[1]
    assert row["responses"] == responses.texts
    assert row["self_bleu"] == pytest.approx(self_bleu(responses.texts))
    assert row["finished"] == pytest.approx(100 * responses.finished.mean())
    assert row["num_tokens"] == pytest.approx(responses.num_tokens.mean())
    assert row["tokens_per_second"] > 0
    for n in (1, 2, 3):
        expected = distinct_n(responses.texts, n)
        assert row[f"distinct_{n}"] == pytest.approx(expected)
    entropies = sampler.entropies(testing.PROMPTS, responses)
    expected = entropies.sum() / responses.num_tokens.sum()
    assert row["entropy"] == pytest.approx(expected, rel=1e-5)
    assert 0 < row["entropy"] < np.log(64)


@pytest.mark.skipif(
    keras.config.backend() == "torch", reason="PyTorch runs eagerly."
)
def test_no_row_is_timed_while_something_compiles(policies, monkeypatch):
    compiled, late = set(), []
    answer = ResponseSampler.__call__
    is_timed = False

    def timed(self, *args, **kwargs):
        nonlocal is_timed
        is_timed = True
        responses = answer(self, *args, **kwargs)
        is_timed = False
        return responses

    def decode(self, inputs):
        # Every shape of every function compiles anew.
        shape = id(self), inputs["encoder_token_ids"].shape
        if is_timed and shape not in compiled:
            late.append(shape)
        compiled.add(shape)
        shape = (
            len(inputs["decoder_token_ids"]),
            self.sampler.num_return_sequences,
            4,
        )
        return np.zeros(shape, "int32")

    monkeypatch.setattr(ResponseSampler, "__call__", timed)
    monkeypatch.setattr(CompiledSampler, "__call__", decode)
    # Of two lengths, each with batches enough for a width of its own.
    prompts = ["a"] * 8 + ["a b c d e f g h"] * 8
    sweep(
        {"one": policies["one"]},
        make_task(prompts=prompts, references=[["a"]] * 16),
        temperatures=(0.0, 0.5, 1.0),
        decoders=(Sampling(top_p=0.9), BeamSearch(2)),
        num_samples=2,
        max_length=4,
        batch_size=2,
    )
    assert len({shape for _, shape in compiled}) > 2
    assert not late


@pytest.mark.filterwarnings("ignore:1 of 3 prompts are longer")
def test_several_runs_and_seeds_have_a_row_each(policies):
    policy = policies["one"]
    prompts = [*testing.PROMPTS[:2], "a " * 40]
    rows = sweep(
        {"both": [policy, policy]},
        make_task(metrics={"match": exact_match}, prompts=prompts),
        temperatures=(0, 1),
        num_samples=2,
        max_length=4,
        batch_size=6,
        num_seeds=2,
    )
    found = [(row["replica"], row["decoder"], row["seed"]) for row in rows]
    # What is not random is the same for all seeds.
    own = [("greedy", 0), ("T=1", 0), ("T=1", 1)]
    assert found == [(replica, *way) for replica in range(2) for way in own]
    assert rows[1]["responses"] != rows[2]["responses"]
    assert rows[1]["responses"] == rows[4]["responses"]
    assert len(pick_samples(rows[:3], make_task())[0]["responses"]) == 2
    assert rows[0]["prompt_self_bleu"] is None
    assert np.mean(rows[1]["prompt_self_bleu"]) == rows[1]["self_bleu"]
    assert np.shape(rows[1]["statistics"]["match"]) == (3, 2, 1)
    names = {"match", "self_bleu", "entropy"}
    assert rows[1]["standard_errors"].keys() == names
    # A prompt that the encoder cuts is counted, and told in a note.
    assert [row["cut_prompts"] for row in rows] == [1] * 6
    results = {
        "task": "tiny",
        "metric": "match",
        "objectives": {"both": [{"rows": rows}]},
    }
    table = format_table(results)
    assert "Of both, 1 of 3 prompts were cut" in table
    assert "cut prompts" not in table  # It is no column.


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (1.5, "Received: seed=1.5"),
        (None, "Received: seed=None"),
        (2**32, "to 4294967295.*Received: seed=4294967296"),
    ],
)
def test_a_seed_is_a_whole_number(seed, message):
    with pytest.raises(ValueError, match=message):
        sweep({"one": None}, make_task(), seed=seed)


def raises(responses, references):
    raise KeyError("no column 'score'")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"references": [["a"], ["b"]]},
            r"references=\[\['a'\], \['b'\]\] for 3 prompts",
        ),
        ({"references": None}, "Received: references=None for 3 prompts"),
        ({"references": ["a", "b", "c"]}, r"Received: references\[0\]='a'"),
        ({"references": [["a"], [], ["b"]]}, r"Received: references\[1\]=\[\]"),
        ({"metrics": {"comet": raises}}, "'comet' does not fit.*KeyError"),
        (
            {"metrics": {"accuracy": accuracy}},
            "'accuracy' does not fit the task.*ends in `#### answer`",
        ),
        ({"metrics": {"list": lambda *_: [1.0]}}, "returns a number.*'list'"),
        ({"sample_metrics": {"x": lambda *_: "1"}}, "returns a number.*'x'"),
        (
            {
                "metrics": {"accuracy": accuracy},
                "references": [["#### 1"], ["#### 2"], ["three"]],
            },
            r"'accuracy' does not fit.*references\[2\]=\['three'\]",
        ),
    ],
)
def test_a_task_that_cannot_be_judged_is_refused_before_any_work(
    changes, message
):
    # A policy of `None` could not answer anything.
    with pytest.raises(ValueError, match=message):
        sweep({"one": None}, make_task(**changes))


def test_picks_samples_for_people_to_read(rows):
    samples = pick_samples(rows[:2], make_task(), num_prompts=2)
    assert [sample["prompt"] for sample in samples] == list(testing.PROMPTS[:2])
    assert samples[1]["references"] == [testing.RESPONSES[1]]
    assert samples[1]["responses"] == [
        {
            "decoder": "greedy",
            "temperature": 0.0,
            "texts": rows[0]["responses"][1],
        },
        {
            "decoder": "T=1",
            "temperature": 1.0,
            "texts": rows[1]["responses"][1],
        },
    ]
    assert len(pick_samples(rows[:2], make_task(), num_prompts=99)) == 3


@pytest.mark.parametrize(
    ("policies", "task", "temperatures", "message"),
    [
        ({}, make_task(), (0.0,), "Received: policies={}"),
        ({"one": None}, make_task(), (), r"Received: temperatures=\[\]"),
        ({"one": None}, make_task(prompts=[]), (0.0,), "task.prompts="),
        ({"one": None}, make_task(metrics={}), (0.0,), "task.metrics={}"),
        ({"one": []}, make_task(), (0.0,), r"policies\['one'\]=\[\]"),
        ({"one": None}, make_task(), (-1,), "Received: temperature=-1"),
        ({"one": None}, make_task(), (1, 1.0), "Received: T=1 more than once"),
        ({"one": None}, make_task(), 0.5, "also a single one. Received: 0.5"),
        (None, make_task(), (0.0,), "Policies have names.*policies=None"),
    ],
)
def test_says_what_is_missing(policies, task, temperatures, message):
    with pytest.raises(ValueError, match=message):
        sweep(policies, task, temperatures)


def test_nan_logits_and_no_samples_are_refused():
    policy = testing.tiny_t5(max_length=4)
    with pytest.raises(ValueError, match="Received: num_samples=0"):
        sweep({"one": policy}, make_task(), (1.0,), num_samples=0)
    with pytest.raises(ValueError, match="Received: num_samples=1.5"):
        sweep({"one": policy}, make_task(), (1.0,), num_samples=1.5)
    policy.set_weights([np.nan * weight for weight in policy.get_weights()])
    with pytest.raises(ValueError, match="logits are not finite"):
        sweep({"one": policy}, make_task(), (0.0,))


@pytest.mark.parametrize("num_seeds", [0, 1.5, None, 2**32])
def test_no_seed_is_refused(num_seeds):
    with pytest.raises(ValueError, match="Received: num_seeds="):
        sweep({"one": None}, make_task(), num_seeds=num_seeds)


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([3, 5], "Received: policies={}"),
        ([0, "1"], "Received: seed='1'"),
        ([], r"Received: seed=\[\]"),
    ],
)
def test_a_sequence_of_seeds_is_read_until_version_0_3(seed, message):
    policies = {} if seed == [3, 5] else {"one": None}
    with pytest.warns(DeprecationWarning, match="`num_seeds=...` now"):
        with pytest.raises(ValueError, match=message):
            sweep(policies, make_task(), seed=seed)


def test_decoders_stand_in_for_the_temperatures_or_follow_them():
    top_p = Sampling(top_p=0.9)
    assert decoders_of((0.5,), (top_p,)) == [Sampling(0.5), top_p]
    assert decoders_of(None, (top_p,), (0.0, 1.0)) == [top_p]
    assert decoders_of(None, (), (0.0, 1.0)) == [Sampling(0.0), Sampling(1.0)]
    assert decoders_of((), (), (0.0, 1.0)) == []
