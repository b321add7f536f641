"""Decoding sweeps: metrics of policies over temperatures and decoders."""

import collections.abc
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_entries
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.error_texts import shortened
from keras_irl.evaluation.judging import JudgedTask
from keras_irl.evaluation.judging import check_task
from keras_irl.evaluation.judging import judge
from keras_irl.evaluation.judging import require_task
from keras_irl.generation.decoders import decoders_of
from keras_irl.generation.decoders import name_of
from keras_irl.generation.decoders import temperature_of
from keras_irl.generation.prompts import num_cut_prompts
from keras_irl.generation.responses import ResponseSampler
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Policy
from keras_irl.types import Row

if TYPE_CHECKING:
    from keras_irl.generation.decoders import Decoder

# Of sampling five: policies are compared where their diversities overlap.
TEMPERATURES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)


def sweep(
    policies: "dict[str, Policy | Sequence[Policy]]",
    task: JudgedTask,
    temperatures: Sequence[float] | None = None,
    num_samples: int = 8,
    *,
    decoders: "Sequence[Decoder]" = (),
    max_length: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    num_seeds: int = 1,
) -> list[Row]:
    """Evaluates policies on the prompts of a task, with several decoders.

    A row is a dictionary with the entries

    | key                 | meaning                                           |
    |---------------------|---------------------------------------------------|
    | `policy`            | name of the policy                                |
    | `replica`           | which of the policies of that name, from 0        |
    | `decoder`           | name of the decoding, such as `"T=0.5"`           |
    | `temperature`       | 0 is greedy decoding; `None` where there is none  |
    | `seed`              | seed of the noise                                 |
    | `num_samples`       | responses per prompt; 1 where none is random      |
    | `metrics`           | the task's metrics by name, its main one first    |
    | `sample_metrics`    | those of its metrics that need several samples    |
    | `self_bleu`         | in percent; the lower, the more diverse          |
    | `distinct_1`, ...   | different n-grams, in percent of all, n to 3     |
    | `tokenize`          | what separated the words that were counted        |
    | `entropy`           | of the policy, in nats a token, over its samples  |
    | `finished`          | texts that the policy ended itself, in percent   |
    | `num_tokens`        | mean length, the end token included               |
    | `tokens_per_second` | of all rows of a batch, compiling excluded        |
    | `cut_prompts`       | how many prompts were cut at the encoder's length |
    | `standard_errors`   | over prompts, of metrics, `self_bleu`, `entropy`  |
    | `prompt_self_bleu`  | Self-BLEU of each prompt                          |
    | `statistics`        | what each sample of each prompt adds to a metric  |
    | `responses`         | for each prompt, the list of its samples          |

    A metric is computed over all prompts for the first samples, for the second
    samples, and so on, and averaged: a corpus metric keeps the size of its
    corpus. What compares samples is `None` where there is one a prompt:
    greedy decoding and beam search are no points of a front of quality and
    diversity. Standard errors are the deviations over prompts that are drawn
    anew; `standard_errors` and `statistics` lack those metrics that are not
    known text by text, see `keras_irl/metrics/text_metrics.py`.

    Diversity is that of `self_bleu`, of its 4-grams, and of `distinct_n`, both
    of tokens of the task's `tokenize`, sacrebleu's 13a where it has none, among
    the `num_samples` of each prompt. The entropy is that of the policy at a
    temperature of 1, exact, in the states in which the samples took their
    tokens, the end included, whatever the decoder; `None` for RWKV7, which
    reads prompts and responses apart.

    Args:
        policies: Dictionary from name to `CausalLM` or `Seq2SeqLM`, with
            preprocessors, or to a list of them, of several training runs.
        task: A `keras_irl.data.Task`, or anything with its `prompts`,
            `references`, `metrics` and `sample_metrics`.
        temperatures: Numbers >= 0; 0 is greedy decoding. Defaults to `(0.0,
            0.25, 0.5, 0.75, 1.0, 1.25)`, so many that the diversities of
            policies overlap, see `compare_fronts`; and to none where there
            are `decoders`.
        num_samples: Responses per prompt where they are random. Defaults to 8.
        decoders: Further decoders, `keras_irl.generation.Sampling` or
            `BeamSearch`. Defaults to none.
        max_length: The sequence length in tokens. Defaults to the
            preprocessor's.
        batch_size: Rows of every batch. Defaults to 32.
        seed: Seed of the noise, which all policies share, an integer.
            Defaults to 0.
        num_seeds: How many seeds there are, `seed`, `seed + 1` and so on,
            each with a row. Defaults to 1.

    Returns:
        A list of rows, policy by policy, in the order of the temperatures
        and decoders, then of the seeds. What is not random has one row, of
        the first seed.

    Raises:
        ValueError: If there is no policy, temperature, prompt or metric, a
            prompt has no reference, a metric does not fit the task, or as
            `ResponseSampler` does.

    Example:
    ```python
    task = keras_irl.data.load_task("arithmetic", "test")
    rows = keras_irl.evaluation.sweep(
        {"mle": mle, "iqlearn": [iqlearn_0, iqlearn_1]},
        task,
        temperatures=[0.0, 0.5],
        decoders=[keras_irl.generation.Sampling(top_p=0.9)],
        num_seeds=3,
    )
    [(row["decoder"], row["metrics"]["valid"]) for row in rows]
    ```
    """
    require_task(task)
    seeds = _seeds(seed, num_seeds)
    policies = _groups(policies)
    decoders = decoders_of(temperatures, decoders, TEMPERATURES)
    _check_given(policies, task, decoders, seeds)
    check_task(task)
    plan = _plan(decoders, seeds)
    rows = []
    num_rows = len(plan) * sum(map(len, policies.values()))
    with progress_bar(total=num_rows, unit="row") as bar:
        for name, group in policies.items():
            for replica, policy in enumerate(group):
                sampler = ResponseSampler(policy, max_length, batch_size)
                _compile(sampler, task, decoders, num_samples)
                about = {
                    "policy": name,
                    "replica": replica,
                    "cut_prompts": num_cut_prompts(policy, task.prompts),
                }
                for decoder, seed in plan:
                    bar.set_description(f"{name}, {decoder.name}", False)
                    row = _row(sampler, task, decoder, num_samples, seed=seed)
                    rows.append(about | row)
                    bar.update()
    return rows


def _plan(decoders, seeds):
    """The pairs of a decoder and a seed, each of which has a row."""
    return [
        (decoder, seed)
        for decoder in decoders
        for seed in (seeds if decoder.is_random else seeds[:1])
    ]


def pick_samples(
    rows: Sequence[Row], task: JudgedTask, num_prompts: int = 10
) -> list[dict[str, Any]]:
    """Picks the responses to the first prompts, for people to read.

    Args:
        rows: Rows of one policy, as from `sweep`.
        task: The task of the sweep.
        num_prompts: How many prompts. Defaults to 10.

    Returns:
        For each of them a dictionary of the `prompt`, its `references` and its
        `responses`: a list of `{"decoder": ..., "temperature": ...,
        "texts": [...]}`, one for each decoding.

    Raises:
        ValueError: If a row or the task is none, or `num_prompts` no count.

    Example:
    ```python
    rows = keras_irl.evaluation.sweep({"mle": policy}, task)
    first, *_ = keras_irl.evaluation.pick_samples(rows, task)
    first["prompt"], first["responses"][0]["texts"]
    ```
    """
    require_task(task)
    check_kind("rows", rows, list)
    for number, row in enumerate(rows):
        check_entries(f"rows[{number}]", row, ("temperature", "responses"))
    num_prompts = check_integer("num_prompts", num_prompts)
    # Another seed shows nothing new.
    first = {name_of(row): row for row in reversed(rows)}
    strategies = dict.fromkeys(map(name_of, rows))
    return [
        {
            "prompt": task.prompts[i],
            "references": list(task.references[i]),
            "responses": [
                {
                    "decoder": name,
                    "temperature": first[name]["temperature"],
                    "texts": first[name]["responses"][i],
                }
                for name in strategies
            ],
        }
        for i in range(min(num_prompts, len(task.prompts)))
    ]


def _compile(sampler, task, decoders, num_samples):
    """Compiles now what decoders share, so that no row's speed pays for it."""
    for decoder in {(d.constants, d.is_random): d for d in decoders}.values():
        sampler.warm_up(
            task.prompts, decoder, num_samples if decoder.is_random else 1
        )


def _row(sampler, task, decoder, num_samples, *, seed):
    responses = sampler(
        task.prompts,
        num_samples=num_samples if decoder.is_random else 1,
        seed=seed,
        decoder=decoder,
    )
    return {
        "decoder": decoder.name,
        "temperature": temperature_of(decoder),
        "seed": seed,
        **judge(responses, task, sampler.entropies(task.prompts, responses)),
    }


def _groups(policies):
    """A list of policies for each name."""
    if not isinstance(policies, dict):
        raise ValueError(
            "Policies have names: pass a dictionary, such as "
            f'{{"mle": policy}}. Received: policies={shortened(policies)}'
        )
    return {
        name: list(group) if isinstance(group, list | tuple) else [group]
        for name, group in policies.items()
    }


def _seeds(seed, num_seeds):
    """The seeds from one on, or until version 0.3 those of a sequence."""
    if isinstance(seed, collections.abc.Iterable) and np.ndim(seed):
        warnings.warn(
            "`sweep(seed=...)` with several seeds is `num_seeds=...` now, and "
            "the old name ends with version 0.3.",
            DeprecationWarning,
            stacklevel=3,
        )
        return [check_integer("seed", one, 0, LARGEST_SEED) for one in seed]
    seed = check_integer("seed", seed, 0, LARGEST_SEED)
    num_seeds = check_integer("num_seeds", num_seeds, 1, LARGEST_SEED - seed)
    return list(range(seed, seed + num_seeds))


def _check_given(policies, task, decoders, seeds):
    for name, values in (
        ("policies", policies),
        *((f"policies[{name!r}]", group) for name, group in policies.items()),
        ("task.prompts", task.prompts),
        ("temperatures", decoders),
        ("task.metrics", task.metrics),
        ("seed", seeds),
    ):
        if not len(values):
            raise ValueError(
                "A sweep judges at least one policy on one prompt, at one "
                "temperature, with one seed, by one metric. "
                f"Received: {name}={values!r}"
            )
