"""Every public callable, with what is known of it.

How to add one stands in `harness.py`.
"""

import functools
import types

import keras
import numpy as np
from harness import Door
from hypothesis import strategies as st
from testing import PROMPTS
from testing import RESPONSES
from values import ACTIONS
from values import BY_NAME
from values import CAUSAL
from values import DECODERS
from values import LOGITS
from values import MASKS
from values import NUMBERS
from values import OWN
from values import PLAIN
from values import PLAIN_COLUMNS
from values import READ
from values import REFERENCES
from values import REWARDS
from values import SCORES
from values import Inside
from values import Made
from values import columns
from values import floats
from values import gpt2
from values import make_task
from values import maybe
from values import real
from values import t5
from values import whole

import keras_irl
from keras_irl.runtime.row_shares import Share

# --- what is right ---------------------------------------------------------


def array(value):
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    return np.asarray(value)


def scalar(result, _):
    assert array(result).shape == ()


def like(name):
    """As large as one of the arguments."""

    def check(result, arguments):
        shape = np.shape(array(result))
        assert shape == np.shape(array(arguments[name])), shape

    return check


def within(low, high):
    def check(result, _):
        assert isinstance(result, float), type(result)
        assert low - 1e-6 <= result <= high + 1e-6

    return check


def is_a(kind):
    def check(result, _):
        assert isinstance(result, kind), type(result)

    return check


def has_mean(result, arguments):
    values, mask = (array(arguments[k]) for k in ("values", "mask"))
    if not np.isfinite(values.astype("float64")).all():
        return
    values, mask = values.astype("float64"), mask.astype("float64")
    if (mask > 0).any():
        weights = np.where(mask > 0, mask, 0.0)
        right = (weights * values).sum() / weights.sum()
        np.testing.assert_allclose(float(result), right, rtol=1e-3, atol=1e-3)


def nothing_counts(arguments):
    """Whether a mean is asked for of nothing, which is NaN on purpose."""
    for name in ("mask", "sample_weight"):
        if name in arguments:
            return not (np.asarray(array(arguments[name]), float) > 0).any()
    return False


PERCENT = within(0.0, 100.0)
MEANS = {"may_be_nan": nothing_counts}

# --- ops and losses --------------------------------------------------------

STATISTICS = st.builds(
    keras_irl.ops.TokenStatistics, floats(), floats(), floats(), floats()
)
OPS = {
    "ops.is_action": Door(check=like("mask")),
    "ops.TokenMask": Door(
        values={"weights": MASKS}, strict=False, check=is_a(tuple)
    ),
    "ops.encode_sample_weight": Door(
        values={"continues": MASKS}, check=like("mask")
    ),
    "ops.decode_sample_weight": Door(
        values={"sample_weight": MASKS},
        check=lambda r, a: like("sample_weight")(r.weights, a),
    ),
    "ops.is_start": Door(check=like("mask")),
    "ops.masked_mean": Door(check=has_mean, **MEANS),
    "ops.masked_sum": Door(check=scalar),
    "ops.discounted_returns": Door(check=like("mask")),
    "ops.generalized_advantages": Door(check=like("mask")),
    "ops.token_statistics": Door(
        check=lambda r, a: like("actions")(r.values, a)
    ),
    "ops.tiled_token_statistics": Door(
        check=lambda r, a: like("actions")(r.values, a), share=0.5
    ),
    "ops.implicit_rewards": Door(check=like("mask")),
    "ops.log_probs": Door(check=like("values")),
    "ops.next_values": Door(check=like("values")),
    "ops.offset_sums": Door(
        values={"last_only": st.booleans()},
        check=lambda result, _: scalar(result.offset, _),
    ),
    "ops.VocabularyHead.q_values": Door(
        of=lambda: keras_irl.ops.VocabularyHead(np.ones((5, 2), "float32")),
        values={
            "hidden_states": floats(
                st.tuples(st.integers(1, 3), st.integers(1, 3), st.just(2))
            )
        },
        check=lambda r, _: like("r")(np.zeros(array(r).shape), {"r": r}),
    ),
    "ops.check_shapes": Door(
        call=lambda mask: keras_irl.ops.check_shapes(mask=mask),
        values={"mask": st.tuples(MASKS, st.just("BT"))},
    ),
    "losses.concave_reward": Door(check=like("rewards")),
    "losses.divergence_penalty": Door(check=like("rewards")),
    "losses.adversarial_rewards": Door(check=like("demonstration_logits")),
    "losses.discriminator_entropies": Door(check=like("demonstration_logits")),
    "losses.discriminator_loss": Door(
        values={"is_demonstration": st.booleans()},
        check=like("demonstration_logits"),
    ),
    "losses.iq_learn_loss": Door(check=like("mask")),
    "losses.td_penalty": Door(check=like("mask")),
    "losses.mle_loss": Door(check=like("values")),
    "losses.entropy_loss": Door(check=like("entropies")),
    "losses.explained_variance": Door(check=scalar),
    "losses.is_clipped": Door(check=like("advantages")),
    "losses.kl_estimates": Door(check=like("log_probs")),
    "losses.kl_loss": Door(check=like("log_probs")),
    "losses.normalize_advantages": Door(check=like("mask")),
    "losses.policy_gradient_loss": Door(check=like("advantages")),
    "losses.value_loss": Door(check=like("values")),
    "losses.IQLearnLoss": Door(
        values={
            "name": st.sampled_from(("a", "b_1")),
            "value_offset": st.one_of(real(-10.0, 10.0), st.just("batch")),
        }
    ),
    "losses.MLELoss": Door(values={"name": st.sampled_from(("a", "b_1"))}),
    "losses.TokenLoss": Door(values={"name": st.sampled_from(("a", "b_1"))}),
    **{
        f"losses.{name}.__call__": Door(
            of=of,
            values={
                "y_true": ACTIONS,
                "y_pred": LOGITS,
                "sample_weight": MASKS,
            },
            # Without the weights, what counts is not known.
            strict=False,
            check=scalar,
            **MEANS,
        )
        for name, of in (
            ("IQLearnLoss", lambda: keras_irl.losses.IQLearnLoss()),
            ("MLELoss", lambda: keras_irl.losses.MLELoss(0.1)),
        )
    },
}

# --- decoding --------------------------------------------------------------


@functools.cache
def encoded(name):
    policy = {"gpt2": gpt2, "t5": t5}[name]()
    return keras_irl.generation.encode_prompts(policy, list(PROMPTS), 24)


def drawn_by(sampler):
    generator = np.random.default_rng(0)
    return generator.integers(5, size=(3 * sampler.num_return_sequences, 24))


SAMPLER = keras_irl.generation.TokenSampler
IDS = st.builds(
    lambda seed: np.random.default_rng(seed).integers(5, size=(2, 3)),
    st.integers(0, 9),
)
SAMPLER_METHODS = {
    f"generation.{kind}.{name}": Door(of=of, **more)
    for kind, of, seedable in (
        ("TokenSampler", lambda: SAMPLER(2, top_k=3), True),
        ("GreedySampler", lambda: keras_irl.generation.GreedySampler(2), True),
        ("BeamSearcher", lambda: keras_irl.generation.BeamSearcher(2), False),
    )
    for name, more in (
        ("is_stop", {"values": {"tokens": IDS}}),
        ("is_long", {"values": {"num_tokens": IDS}}),
        (
            "prepare",
            {
                "values": {
                    "top_p": real(0.125, 1.0) if seedable else None,
                    "batch": st.none() | st.integers(0, 9),
                }
            },
        ),
    )
}
DECODER_METHODS = {
    f"generation.{kind}.{name}": Door(of=of, strict=False, values=values)
    for kind, of in (
        ("Sampling", lambda: keras_irl.generation.Sampling(top_p=0.5)),
        ("BeamSearch", lambda: keras_irl.generation.BeamSearch()),
    )
    for name, values in (
        ("num_return_sequences", {}),
        ("make_sampler", {}),
    )
}
DECODING = {
    "generation.BeamSearch": Door(),
    "generation.Sampling": Door(),
    "generation.BeamSearcher": Door(),
    "generation.GreedySampler": Door(),
    "generation.TokenSampler": Door(),
    "generation.as_decoder": Door(),
    "generation.encode_prompts": Door(
        share=0.5, strict=False, check=is_a(dict)
    ),
    "generation.draw": Door(
        share=0.25,
        values={
            "policy": CAUSAL,
            "inputs": st.builds(lambda: dict(encoded("gpt2"))),
            "sampler": st.builds(lambda: SAMPLER(2, stop_token_ids=(1,))),
        },
        check=lambda r, a: None,
    ),
    "generation.drawn_mask": Door(
        values={
            "inputs": st.builds(lambda: dict(encoded("gpt2"))),
            "sampler": st.builds(lambda: SAMPLER(2, stop_token_ids=(1,))),
            "tokens": st.builds(lambda: drawn_by(SAMPLER(2))),
        },
        check=lambda r, a: like("tokens")(r, a),
    ),
    **SAMPLER_METHODS,
    **DECODER_METHODS,
}

# --- data ------------------------------------------------------------------

TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(("user", "assistant", "system")),
        "content": PLAIN,
    }
)
ASKED = {"role": "user", "content": "the dog"}
CONVERSATIONS = columns(
    st.one_of(
        st.builds(
            lambda x: [ASKED, {"role": "assistant", "content": x}], PLAIN
        ),
        st.lists(TURN, max_size=4),
    ),
    kinds=(list,),
)
TEMPLATES = st.one_of(
    st.just(keras_irl.data.PLAIN),
    st.builds(
        keras_irl.data.ChatTemplate,
        *[st.sampled_from(("", "User: ", "x"))] * 4,
        st.sampled_from((None, "<|endoftext|>")),
    ),
)


@functools.cache
def dataset():
    return keras_irl.data.demonstrations(gpt2(), PROMPTS, RESPONSES, 2, seed=1)


def metric(responses, references):
    return 50.0


METRICS = st.sampled_from(
    (
        {"m": metric},
        {"bleu": keras_irl.metrics.bleu},
        {"e": keras_irl.metrics.exact_match, "m": metric},
    )
)
DATA = {
    "data.demonstrations": Door(
        strict=False, check=is_a(keras_irl.data.Demonstrations)
    ),
    "data.packed_demonstrations": Door(
        strict=False,
        values={"policy": CAUSAL},
        check=is_a(keras_irl.data.Demonstrations),
    ),
    "data.chat_demonstrations": Door(
        strict=False,
        values={
            "policy": CAUSAL,
            "conversations": CONVERSATIONS,
            "template": TEMPLATES,
        },
    ),
    "data.Demonstrations": Door(
        values={
            "batches": st.builds(lambda: dataset().parents[0]),
            "num_rows": whole(1, 5),
            "num_truncated": whole(0, 5),
            "dropped": st.sampled_from(({}, {"empty": 2})),
            "end_token_id": maybe(whole(0, 5)),
            "is_packed": st.booleans(),
            "whole": st.one_of(
                st.none(), st.builds(lambda: dataset().parents[0])
            ),
            "share": st.sampled_from((Share(), Share(0, 2))),
        }
    ),
    "data.Demonstrations.batches": Door(
        of=dataset, values={"start": whole(0, 2), "stop": maybe(whole(3, 9))}
    ),
    "data.Demonstrations.epochs": Door(of=dataset),
    "data.Demonstrations.repeat": Door(
        of=dataset,
        values={
            "num_epochs": maybe(whole(1, 3)),
            "reseed_each_epoch": st.booleans(),
        },
    ),
    "data.Demonstrations.slice": Door(
        of=dataset, values={"sl": st.builds(slice, st.integers(0, 1))}
    ),
    "data.Demonstrations.map": Door(
        of=dataset, values={"transform": st.just(lambda batch: batch)}
    ),
    "tasks.Task": Door(
        values={
            "name": PLAIN,
            "split": PLAIN,
            "prompts": PLAIN_COLUMNS,
            "responses": PLAIN_COLUMNS,
            "references": REFERENCES,
            "pairs": st.tuples(PLAIN_COLUMNS, PLAIN_COLUMNS),
            "metrics": METRICS,
            "sample_metrics": st.sampled_from((None, {}, {"m": metric})),
        }
    ),
    "tasks.Task.first": Door(
        of=make_task, values={"num_prompts": maybe(whole(1, 9))}
    ),
    "tasks.Task.with_metrics": Door(
        of=make_task,
        values={
            "metrics": maybe(METRICS),
            "prompt_metrics": st.sampled_from(
                (None, {"p": lambda prompts, r, refs: 1.0})
            ),
            "sample_metrics": st.sampled_from((None, {"m": metric})),
        },
    ),
    "tasks.load_task": Door(
        writes=True,
        strict=False,
        share=0.5,
        values={
            "name": st.sampled_from(
                (
                    "arithmetic",
                    "jsonl",
                    "gsm8k",
                    "e2e",
                    "xsum",
                    "scitldr",
                    "wmt22",
                )
            ),
            "split": st.sampled_from(("train", "test", "validation")),
            "path": st.sampled_from((None, "nowhere", ".")),
        },
    ),
}

# --- evaluation ------------------------------------------------------------


def responses_of(num_prompts, num_samples, seed):
    generator = np.random.default_rng(seed)
    shape = (num_prompts, num_samples)
    return keras_irl.generation.Responses(
        [["12 + 3 = 15 , answer 15"] * num_samples] * num_prompts,
        generator.random(shape) < 0.5,
        generator.integers(1, 9, shape),
        1.5,
        [[np.array([3, 1])] * num_samples] * num_prompts,
    )


@functools.cache
def swept():
    return keras_irl.evaluation.sweep(
        {"a": t5(), "b": [gpt2()]},
        make_task(2),
        [0.0, 1.0],
        num_samples=2,
        batch_size=4,
    )


def results():
    rows = [row for row in swept() if row["policy"] == "a"]
    run = {
        "seed": 0,
        "negative_log_likelihood": 1.5,
        "seconds_per_step": 0.04,
        "rows": rows,
        "history": {"step": [0, 1], "negative_log_likelihood": [2.0, 1.5]},
        "samples": keras_irl.evaluation.pick_samples(rows, make_task(2), 1),
    }
    return {
        "task": "arithmetic",
        "metric": "valid",
        "steps": 20,
        "objectives": {"mle": [run, run], "iqlearn": [run]},
        "fronts": keras_irl.evaluation.compare_fronts(
            swept(), make_task(2), num_resamples=3
        ),
    }


SWEPT = st.builds(lambda: [dict(row) for row in swept()])
RESULTS = st.builds(results)
POINTS = floats(st.tuples(st.integers(1, 4), st.just(2)), scale=20.0)
PROMPT_POINTS = st.shared(st.integers(1, 3), key="prompts").flatmap(
    lambda n: floats(
        st.tuples(st.integers(1, 3), st.just(n), st.just(2)), scale=20.0
    )
)


def answer(text):
    return len(text) % 3


COUNTED = keras_irl.metrics.sum_over_texts(lambda sums: 100.0 * sums[0])(
    lambda responses, references: [[len(text)] for text in responses]
)
EVALUATION = {
    **{
        f"metrics.{name}": Door(check=PERCENT)
        for name in (
            *("bleu", "chrf", "exact_match", "rouge_1", "rouge_2"),
            "rouge_lsum",
        )
    },
    "metrics.distinct_n": Door(check=PERCENT),
    "metrics.self_bleu": Door(check=PERCENT, strict=False),
    "metrics.majority_vote": Door(
        values={"answer": st.just(answer)}, check=PERCENT
    ),
    "metrics.pass_at_k": Door(
        values={"answer": st.just(answer)}, check=PERCENT
    ),
    "evaluation.pareto_front": Door(
        values={"points": POINTS},
        check=lambda r, _: like("r")(r, {"r": np.zeros((len(r), 2))}),
    ),
    "evaluation.quality_difference": Door(
        values={"first": POINTS, "second": POINTS},
        # Where no diversity is reached by both.
        may_be_nan=lambda a: True,
    ),
    "evaluation.area_under_front": Door(
        values={"points": POINTS, "reference": st.just((0.0, 0.0))},
        check=PERCENT,
        strict=False,
    ),
    "evaluation.area_difference": Door(
        values={
            "first": PROMPT_POINTS,
            "second": PROMPT_POINTS,
            "reference": st.just((0.0, 0.0)),
        },
        strict=False,
    ),
    "evaluation.compare_fronts": Door(
        share=0.25,
        values={"rows": SWEPT, "task": st.builds(lambda: make_task(2))},
        check=is_a(list),
    ),
    "evaluation.pick_samples": Door(
        values={"rows": SWEPT, "task": st.builds(lambda: make_task(2))},
        check=is_a(list),
    ),
    "reporting.format_table": Door(
        values={"results": RESULTS}, check=is_a(str), share=0.5
    ),
    "reporting.write_report": Door(
        values={
            "results": RESULTS,
            "settings": st.sampled_from((None, {"steps": 3, "task": "x"})),
            "notes": st.none(),
            "conclusion": st.sampled_from((None, "They are alike.")),
        },
        writes=True,
        share=0.1,
        check=is_a(list),
    ),
    "metrics.TextMetric": Door(
        values={
            "function": st.just(lambda r, refs: [1.0] * len(r)),
            "score": st.sampled_from((None, lambda sums: 1.0)),
        }
    ),
    "metrics.TextMetric.__call__": Door(of=lambda: COUNTED, check=is_a(float)),
    "metrics.TextMetric.statistics": Door(of=lambda: COUNTED),
    "metrics.TextMetric.resampled": Door(
        of=lambda: COUNTED,
        values={
            "weights": st.just(np.ones((2, 3))),
            "statistics": st.just(np.ones((3, 2, 1))),
        },
    ),
    "metrics.mean_over_texts": Door(
        values={"function": st.just(lambda r, refs: [1.0] * len(r))}
    ),
    "metrics.sum_over_texts": Door(values={"score": st.just(lambda sums: 1.0)}),
    "generation.ResponseSampler": Door(share=0.5),
    "generation.ResponseSampler.__call__": Door(
        of=lambda: sampler(),
        share=0.15,
        values={"decoder": maybe(DECODERS)},
        # A search may have fewer beams than samples are asked for.
        strict=False,
        check=is_a(keras_irl.generation.Responses),
    ),
    "generation.ResponseSampler.warm_up": Door(
        of=lambda: sampler(), share=0.1, strict=False
    ),
    "generation.ResponseSampler.entropies": Door(
        of=lambda: sampler(),
        share=0.25,
        values={
            "prompts": st.builds(lambda: list(PROMPTS)),
            "responses": st.builds(
                responses_of, st.just(3), st.integers(1, 2), st.integers(0, 5)
            ),
        },
    ),
    "generation.sample_responses": Door(
        share=0.05, strict=False, values={"temperature": DECODERS}
    ),
    "evaluation.sweep": Door(
        share=0.04,
        strict=False,
        values={
            "policies": st.builds(lambda: {"a": t5()}),
            "num_seeds": st.sampled_from((1, 2)),
        },
        check=is_a(list),
    ),
    "callbacks.EvaluateGeneration": Door(
        writes=True,
        share=0.5,
        strict=False,
        values={"output": st.sampled_from((None, Inside("out")))},
    ),
}


@functools.cache
def sampler():
    return keras_irl.generation.ResponseSampler(gpt2(), batch_size=4)


# --- rewards ---------------------------------------------------------------


@functools.cache
def reader():
    return keras_irl.rewards.RewardReader(gpt2(), batch_size=4)


@functools.cache
def scorer():
    return keras_irl.rewards.as_scorer(gpt2(), batch_size=4)


@functools.cache
def correlations():
    return keras_irl.rewards.correlation(
        [1.0, 2.0, 4.0, 3.0], [1, 3, 2, 4], num_resamples=3
    )


@functools.cache
def gains():
    return keras_irl.rewards.best_of_n(
        [0.1, 0.9, 0.3, 0.2], [1, 2, 3, 4], [0, 0, 1, 1], num_resamples=3
    )


DTYPES = st.sampled_from((None, "float32", "mixed_bfloat16"))
OFFSETS = maybe(real(-10.0, 10.0))
READ_VALUES = {
    "policy": READ,
    "value_offset": OFFSETS,
    "discount": maybe(real(0.0, 1.0)),
}
REWARDS_ROOM = {
    "rewards.token_rewards": Door(
        values=READ_VALUES, share=0.25, strict=False, check=is_a(list)
    ),
    "rewards.RewardReader": Door(values=READ_VALUES, share=0.5),
    "rewards.RewardReader.__call__": Door(
        of=reader, share=0.5, strict=False, check=is_a(list)
    ),
    "rewards.as_scorer": Door(values=READ_VALUES, share=0.5),
    "rewards.scorer.accumulated_reward": Door(
        call=lambda prompts, responses, finished=None: scorer()(
            prompts, responses, finished=finished
        ),
        share=0.5,
        strict=False,
        check=is_a(list),
    ),
    "rewards.correlation": Door(
        values={
            "metrics": st.one_of(
                NUMBERS, st.builds(lambda x: {"m": x}, NUMBERS)
            ),
            "lengths": maybe(NUMBERS),
            "control": maybe(SCORES),
        },
        share=0.5,
        check=is_a(list),
    ),
    "rewards.best_of_n": Door(
        values={"metric_values": NUMBERS, "log_likelihoods": maybe(NUMBERS)},
        strict=False,
        may_be_nan=lambda a: a.get("log_likelihoods") is None,
        check=is_a(list),
    ),
    "rewards.pick_best": Door(check=is_a(dict)),
    "reporting.format_best_of_n": Door(
        values={"rows": st.builds(lambda: list(gains()))}, check=is_a(str)
    ),
    "reporting.format_correlations": Door(
        values={"rows": st.builds(lambda: list(correlations()))},
        check=is_a(str),
    ),
    "reporting.heat_map": Door(
        writes=True,
        share=0.15,
        values={
            "policies": st.one_of(
                REWARDS, st.builds(lambda x: {"a": x, "b": x}, REWARDS)
            ),
            "prompts": maybe(BY_NAME["texts"]),
            "name": st.sampled_from(("heat_map", "x")),
            "quantities": st.none(),
            "metrics": st.none(),
        },
    ),
    "rewards.scorer.check_prompts": Door(strict=False, share=0.5),
}

# --- models, trainers, callbacks -------------------------------------------

INPUTS = st.builds(lambda: dict(dataset()[0][0]))
MODELS = {
    "models.AdaptedScorer": Door(
        values={"policy": OWN}, share=0.1, strict=False
    ),
    "models.TokenScorer": Door(share=0.25),
    "models.copy_policy": Door(share=0.1),
    "models.hidden_states": Door(
        values={"policy": CAUSAL, "inputs": INPUTS}, share=0.5
    ),
    "models.vocabulary_head": Door(),
    "models.enable_lora": Door(
        values={
            "policy": OWN,
            "target_layer_names": st.sampled_from((None, ["query"])),
        },
        share=0.1,
        strict=False,
    ),
    "models.export": Door(
        values={
            "policy": READ,
            "format": st.just("keras_hub"),
            "merge_lora": st.just(True),
        },
        share=0.1,
        writes=True,
    ),
    "models.load_lora": Door(
        values={"policy": OWN},
        # There is nothing in the folder.
        strict=False,
        share=0.1,
    ),
    "models.rematerialize": Door(values={"policy": OWN}, share=0.1),
    "models.load_policy": Door(
        values={
            "preset": st.sampled_from(("t5-scratch-tiny", "gpt2-scratch-tiny")),
            "dtype": DTYPES,
        },
        # From scratch, it needs texts.
        strict=False,
        share=0.15,
    ),
    "models.scratch_policy": Door(
        values={
            "name": st.sampled_from(("t5-scratch-tiny", "bart-scratch-tiny")),
            "max_prompt_length": whole(4, 24),
            "max_length": whole(16, 48),
            "dtype": DTYPES,
        },
        share=0.05,
    ),
}


@functools.cache
def gradient():
    return keras_irl.PolicyGradient()


ROLLOUTS = Made(lambda: keras_irl.Rollouts(2))
ADAM = st.builds(lambda: keras.optimizers.Adam(0.1))
OPTIMIZERS = {
    "optimizers.TokenWeightedOptimizer": Door(
        values={
            "inner_optimizer": ADAM,
            "measured": st.none(),
            "name": maybe(st.just("x")),
        }
    ),
    "optimizers.inner_optimizer": Door(
        values={"optimizer": maybe(ADAM)}, check=lambda r, a: None
    ),
}
SCHEDULE = keras.optimizers.schedules.PolynomialDecay(0.1, 10)
TRAINERS = {
    "trainers.GAIL": Door(
        share=0.1,
        values={
            "discriminator": st.none(),
            "value": st.none(),
            "policy_gradient": st.one_of(st.none(), st.builds(gradient)),
            "rollouts": st.sampled_from((None, ROLLOUTS)),
        },
    ),
    "trainers.IQLearn": Door(
        values={"td_weight": st.one_of(real(0.0, 2.0), st.just(SCHEDULE))},
        share=0.5,
    ),
    "trainers.MLE": Door(share=0.5),
    "trainers.OnlineIQLearn": Door(
        share=0.5,
        values={
            "rollouts": st.sampled_from((None, ROLLOUTS)),
            "mix_in": real(0.0, 0.9375),
        },
    ),
    "trainers.Trainer": Door(share=0.5),
    "trainers.PolicyGradient": Door(
        values={
            "kl_weight": st.one_of(
                st.none(), real(0.0, 1.0), st.just(SCHEDULE)
            ),
            "normalize": st.sampled_from((True, False, "always")),
        }
    ),
    "trainers.PolicyGradient.advantages": Door(of=gradient),
    "trainers.Rollouts": Door(),
    "trainers.ValueOffset": Door(),
    "trainers.MLE.compile": Door(
        of=lambda: keras_irl.MLE(gpt2()),
        values={
            "optimizer": st.sampled_from(("adam", "sgd")),
            "tile_vocabulary": st.sampled_from(("auto", True, False)),
        },
        share=0.25,
    ),
    "trainers.MLE.fit": Door(
        of=lambda: compiled(),
        call=lambda self, x, epochs=1, verbose=0, initial_epoch=0: self.fit(
            x, epochs=epochs, verbose=verbose, initial_epoch=initial_epoch
        ),
        values={
            "x": st.builds(dataset),
            "epochs": whole(1, 2),
            "verbose": st.just(0),
        },
        share=0.1,
    ),
}


def compiled():
    trainer = keras_irl.MLE(gpt2())
    trainer.compile(keras.optimizers.SGD(0.0))
    return trainer


OTHERS = {
    "callbacks.TrainingHealth": Door(values={"patience": whole(0, 50)}),
    "callbacks.Checkpoint": Door(
        values={
            "directory": st.just(Inside("kept")),
            "every": st.integers(1, 9),
            "keep": st.integers(1, 9),
            "monitor": st.sampled_from([None, "val_loss"]),
        }
    ),
    "callbacks.EvaluateGeneration": EVALUATION["callbacks.EvaluateGeneration"],
    "diagnosis.doctor": Door(
        values={"policy": CAUSAL, "dataset": st.builds(dataset)},
        share=0.25,
        check=is_a(keras_irl.diagnosis.Diagnosis),
    ),
}

DOORS = {
    **OPS,
    **DECODING,
    **DATA,
    **EVALUATION,
    **REWARDS_ROOM,
    **MODELS,
    **OPTIMIZERS,
    **TRAINERS,
    **OTHERS,
}

# --- what needs no door ----------------------------------------------------

_RECORD = "a record of what a function found; it computes nothing"
_STEP = "called by Keras, or by a subclass, within a step"
_SAMPLER = "called by keras-hub within a loop"
_DEVICES = "Keras distributes on JAX alone; see tests/distribution"
LEFT_OUT = {
    "distribution.Sharded": _DEVICES,
    "distribution.distribute": _DEVICES,
    "distribution.initialize": _DEVICES,
    "distribution.layout_map": _DEVICES,
    "callbacks.Alert": _RECORD,
    "data.ChatTemplate": _RECORD,
    "diagnosis.Diagnosis": _RECORD,
    "diagnosis.Issue": _RECORD,
    "evaluation.AreaDifference": _RECORD,
    "evaluation.QualityDifference": _RECORD,
    "generation.Responses": _RECORD,
    "ops.OffsetSums": _RECORD,
    "ops.TokenStatistics": _RECORD,
    "ops.VocabularyHead": _RECORD,
    "rewards.BestOfN": _RECORD,
    "rewards.Correlation": _RECORD,
    "rewards.Estimate": _RECORD,
    "rewards.TextRewards": _RECORD,
}


def public_callables():
    """The names of what the rooms offer, `ROOM.NAME`."""
    for room in keras_irl.__all__:
        place = getattr(keras_irl, room)
        if not isinstance(place, types.ModuleType):
            continue  # Offered by its room as well.
        for name, value in vars(place).items():
            if not name.startswith("_") and callable(value):
                # A room may offer what stands in one below it, as well.
                home = value.__module__.split(".")[1]
                stands = value in vars(getattr(keras_irl, home)).values()
                yield f"{home if stands else room}.{name}"
