"""Reads the rewards of texts in a trained policy, and judges them."""

import collections
import dataclasses
import json
import math

from keras_irl.commands.judged_texts import read_texts
from keras_irl.commands.saved_policies import load_saved
from keras_irl.evaluation.whole_files import check_folder
from keras_irl.evaluation.whole_files import write_whole
from keras_irl.rewards import RewardReader
from keras_irl.rewards import best_of_n
from keras_irl.rewards import correlation
from keras_irl.rewards import format_best_of_n
from keras_irl.rewards import format_correlations
from keras_irl.rewards.heat_map import heat_map_files

_CONTROL = "control"


def rewards(options):
    """Runs `keras-irl rewards`.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        What `rewards.json` holds.

    Raises:
        ValueError: If a file, a text or a number is wrong. Nothing is written
            then.
    """
    texts = read_texts(options.path, options.metric)
    # What would otherwise be found out after the work.
    check_folder(options.output)
    saved = load_saved(
        options.policy, options.max_prompt_length, options.max_length
    )
    discount, value_offset = saved.discount, saved.value_offset
    if options.discount is not None:
        discount = options.discount
    if options.value_offset is not None:
        value_offset = options.value_offset
    read = {
        "policy": _read(saved.policy, texts, options, discount, value_offset)
    }
    if options.control is not None:
        control = load_saved(
            options.control, options.max_prompt_length, options.max_length
        )
        # By the discount of the policy: side by side, they are compared.
        read[_CONTROL] = _read(
            control.policy, texts, options, discount, control.value_offset
        )
    results = {
        "policy": options.policy,
        "control": options.control,
        "discount": discount,
        "value_offset": value_offset,
        **_judge(read, texts, options),
        "texts": _rows(read, texts),
    }
    report = _report(results)
    files = heat_map_files(read, texts.prompts, options.max_texts)
    files["rewards.json"] = json.dumps(_plain(results), allow_nan=False)
    if report:
        files["report.md"] = report
        print(report)
    print("Written:", *write_whole(files, options.output), sep="\n  ")
    return results


def _read(policy, texts, options, discount, value_offset):
    reader = RewardReader(policy, discount, value_offset, options.batch_size)
    return reader(texts.prompts, texts.responses, texts.finished)


def _judge(read, texts, options):
    """The correlations and the gains of reranking, for each metric."""
    if not texts.metrics:
        return {"correlations": [], "best_of_n": {}}
    policy, control = read["policy"], read.get(_CONTROL)
    scores = {
        "reward": [text.total for text in policy],
        "reward per token": [text.mean for text in policy],
        "log-likelihood": [text.log_likelihood for text in policy],
    }
    correlations = correlation(
        scores,
        texts.metrics,
        texts.prompts,
        [len(text.tokens) for text in policy],
        control,
        options.num_resamples,
        options.seed,
    )
    gains = {}
    if min(collections.Counter(texts.prompts).values()) > 1:
        gains = {
            name: best_of_n(
                policy,
                numbers,
                texts.prompts,
                num_resamples=options.num_resamples,
                seed=options.seed,
            )
            for name, numbers in texts.metrics.items()
        }
    return {"correlations": correlations, "best_of_n": gains}


def _rows(read, texts):
    """What was found for each text."""
    rows = []
    for row, prompt in enumerate(texts.prompts):
        rows.append(
            {
                "prompt": prompt,
                "response": texts.responses[row],
                "metrics": {n: x[row] for n, x in texts.metrics.items()},
            }
        )
        for name, policy in read.items():
            text = policy[row]
            rows[-1][name] = {
                "total": text.total,
                "mean": text.mean,
                "log_likelihood": text.log_likelihood,
                "finished": text.finished,
                "tokens": text.tokens,
                "rewards": text.rewards.tolist(),
                "action_values": text.action_values.tolist(),
                "values": text.values.tolist(),
                "log_probs": text.log_probs.tolist(),
            }
    return rows


def _report(results):
    """Tables for people, or an empty string where there is no metric."""
    correlations, gains = results["correlations"], results["best_of_n"]
    if not correlations:
        return ""
    sections = [
        "# Rewards and metrics",
        f"{len(results['texts'])} texts, discount {results['discount']:g}, "
        f"value offset {results['value_offset']:g}. Intervals are of 95 %, "
        "over resampled prompts.",
        "## Correlation",
        "Within prompt: the mean over prompts of the coefficient among the "
        "responses to one.",
        format_correlations(correlations),
    ]
    reasons = {
        f"- {row.coefficient}, {row.scope}, {row.score}: {row.estimate.reason}"
        for row in correlations
        if row.estimate.reason
    }
    if reasons:
        sections.append("\n".join(["Left out:", "", *sorted(reasons)]))
    for name, rows in gains.items():
        sections += [f"## Best of n, {name}", format_best_of_n(rows)]
    if not gains:
        sections.append("Best of n needs several samples of each prompt.")
    return "\n\n".join(sections) + "\n"


def _plain(value):
    """The same as JSON knows it: what there is not is null."""
    if dataclasses.is_dataclass(value):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
