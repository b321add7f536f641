"""Quality and diversity of policies over temperatures."""

import statistics

from keras_irl.evaluation.diversity import distinct_n
from keras_irl.evaluation.diversity import self_bleu
from keras_irl.evaluation.generation import ResponseSampler


def sweep(
    policies,
    task,
    temperatures=(0.0, 0.5, 1.0),
    num_samples=8,
    max_length=None,
    batch_size=32,
    seed=0,
):
    """Judges policies on the prompts of a task, at several temperatures.

    A row is a dictionary with the entries

    | key                 | meaning                                           |
    |---------------------|---------------------------------------------------|
    | `policy`            | name of the policy                                |
    | `temperature`       | 0 is greedy decoding                              |
    | `num_samples`       | responses per prompt; 1 at temperature 0          |
    | `metrics`           | the task's metrics by name, its main one first    |
    | `sample_metrics`    | those of its metrics that need several samples    |
    | `self_bleu`         | in per cent; the lower, the more diverse          |
    | `distinct_2`        | different bigrams, in per cent of all             |
    | `finished`          | texts that the policy ended itself, in per cent   |
    | `num_tokens`        | mean length, the end token included               |
    | `tokens_per_second` | of all rows of a batch, compiling excluded        |
    | `responses`         | for each prompt, the list of its samples          |

    A metric is computed over all prompts for the first samples, for the second
    samples, and so on, and averaged: a corpus metric keeps the size of its
    corpus. What compares samples is `None` where there is one a prompt.

    Args:
        policies: Dictionary from name to `CausalLM` or `Seq2SeqLM`, with
            preprocessors.
        task: A `keras_irl.data.Task`, or anything with its `prompts`,
            `references`, `metrics` and `sample_metrics`.
        temperatures: Numbers >= 0. Defaults to `(0.0, 0.5, 1.0)`.
        num_samples: Responses per prompt at temperatures above 0.
            Defaults to 8.
        max_length: The window in tokens. Defaults to the preprocessor's.
        batch_size: Rows of every batch. Defaults to 32.
        seed: Seed of the noise, which all policies share. Defaults to 0.

    Returns:
        A list of rows, policy by policy, in the order of the temperatures.

    Raises:
        ValueError: If there is no policy, temperature, prompt or metric, or
            as `ResponseSampler` does.

    Example:
    ```python
    task = keras_irl.data.load_task("arithmetic", "test")
    rows = keras_irl.evaluation.sweep({"mle": policy}, task)
    [(row["temperature"], row["metrics"]["valid"]) for row in rows]
    ```
    """
    for name, values in (
        ("policies", policies),
        ("task.prompts", task.prompts),
        ("temperatures", temperatures),
        ("task.metrics", task.metrics),
    ):
        if not len(values):
            raise ValueError(
                "A sweep judges at least one policy on one prompt, at one "
                f"temperature, by one metric. Received: {name}={values!r}"
            )
    rows = []
    for name, policy in policies.items():
        sampler = ResponseSampler(policy, max_length, batch_size)
        # Compile now, so that no row's tokens per second pay for it.
        sampler([task.prompts[0]], temperature=0.0)
        for temperature in temperatures:
            responses = sampler(
                task.prompts,
                temperature,
                num_samples=1 if temperature == 0 else num_samples,
                seed=seed,
            )
            row = {"policy": name, "temperature": float(temperature)}
            rows.append(row | judge(responses, task))
    return rows


def judge(responses, task):
    """Computes a row of a sweep, without its policy and temperature.

    Args:
        responses: `Responses` to all prompts of the task.
        task: See `sweep`.

    Returns:
        A dictionary, see `sweep`.
    """
    num_samples = len(responses.texts[0])
    several = num_samples > 1
    return {
        "num_samples": num_samples,
        "metrics": {
            name: _mean_over_samples(metric, responses.texts, task.references)
            for name, metric in task.metrics.items()
        },
        "sample_metrics": {
            name: metric(responses.texts, task.references) if several else None
            for name, metric in task.sample_metrics.items()
        },
        "self_bleu": self_bleu(responses.texts) if several else None,
        "distinct_2": distinct_n(responses.texts, n=2),
        "finished": 100.0 * float(responses.finished.mean()),
        "num_tokens": float(responses.num_tokens.mean()),
        "tokens_per_second": responses.tokens_per_second,
        "responses": responses.texts,
    }


def pick_samples(rows, task, num_prompts=10):
    """Picks the responses to the first prompts, for people to read.

    Args:
        rows: Rows of one policy, as from `sweep`.
        task: The task of the sweep.
        num_prompts: How many prompts. Defaults to 10.

    Returns:
        For each of them a dictionary of the `prompt`, its `references` and its
        `responses`: a list of `{"temperature": float, "texts": [...]}`.
    """
    return [
        {
            "prompt": task.prompts[i],
            "references": list(task.references[i]),
            "responses": [
                {
                    "temperature": row["temperature"],
                    "texts": row["responses"][i],
                }
                for row in rows
            ],
        }
        for i in range(min(num_prompts, len(task.prompts)))
    ]


def _mean_over_samples(metric, texts, references):
    return statistics.fmean(
        metric(list(samples), references)
        for samples in zip(*texts, strict=True)
    )
