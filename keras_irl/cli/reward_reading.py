"""A reward analysis of texts under a trained policy, with its report."""

import argparse
import collections
import dataclasses
import json
import math
import pathlib
from typing import Any

import keras

from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import config_text
from keras_irl.cli.flags import REWARD_SAMPLING
from keras_irl.cli.judged_texts import judge_samples
from keras_irl.cli.judged_texts import load_prompts
from keras_irl.cli.judged_texts import read_texts
from keras_irl.cli.output_folder import WRITTEN
from keras_irl.cli.output_folder import check_output
from keras_irl.cli.output_folder import check_unread
from keras_irl.cli.output_folder import write_output
from keras_irl.cli.provenance import digest_of_files
from keras_irl.cli.provenance import digest_of_texts
from keras_irl.cli.provenance import made_now
from keras_irl.cli.provenance import settings
from keras_irl.cli.saved_policies import load_saved
from keras_irl.metrics.bootstrap import check_num_resamples
from keras_irl.reporting.escaping import in_markdown
from keras_irl.reporting.tables import markdown_table
from keras_irl.reporting.tables import settings_table
from keras_irl.rewards import RewardReader
from keras_irl.rewards import best_of_n
from keras_irl.rewards import correlation
from keras_irl.rewards import format_best_of_n
from keras_irl.rewards import format_correlations
from keras_irl.rewards.heat_maps import heat_map_files
from keras_irl.rewards.scorer import check_prompts

_CONTROL = "control"


def read_rewards(options: argparse.Namespace) -> Any:
    """Runs `keras-irl rewards`.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        What `rewards.json` holds.

    Raises:
        ValueError: If a file, a text or a number is wrong. Nothing is written
            then.
    """
    check_num_resamples(options.num_resamples)
    check_output("rewards", options.output)
    check_unread(options.output, options.overwrite)
    # Before the policies: what is wrong with texts is found out sooner.
    task = load_prompts(options) if options.task else None
    texts: Any = None
    if not task:
        texts = read_texts(options.path, options.metric or [])
    saved = _load(options)
    numbers = _numbers(saved, options)
    readers = {
        name: RewardReader(
            known.policy,
            discount=numbers[name][0],
            value_offset=numbers[name][1],
            batch_size=options.batch_size,
        )
        for name, known in saved.items()
    }
    if task:
        for known in saved.values():
            check_prompts(known.policy, list(task.prompts))
        texts = judge_samples(saved["policy"].policy, task, options)
    read = {
        name: reader(texts.prompts, texts.responses, texts.finished)
        for name, reader in readers.items()
    }
    results = _results(read, texts, options)
    results["discount"], results["value_offset"] = numbers["policy"]
    if task:
        results["samples"]["num_prompts"] = len(task.prompts)
    results["settings"] = _settings(results, task or texts, options)
    _write(results, read, texts, options)
    return results


def _load(options):
    paths = {"policy": options.policy, _CONTROL: options.control}
    return {
        name: load_saved(path, options.max_prompt_length, options.max_length)
        for name, path in paths.items()
        if path is not None
    }


def _numbers(saved, options):
    """The discount and the value offset that each policy is read with."""
    policy = saved["policy"]
    discount, value_offset = policy.discount, policy.value_offset
    if options.discount is not None:
        discount = options.discount
    if options.value_offset is not None:
        value_offset = options.value_offset
    # By the discount of the policy: side by side, they are compared.
    numbers = {name: (discount, s.value_offset) for name, s in saved.items()}
    return numbers | {"policy": (discount, value_offset)}


def _results(read, texts, options):
    names = ("task", "seed", *REWARD_SAMPLING)
    samples = {name: vars(options)[name] for name in names}
    return {
        "policy": options.policy,
        "control": options.control,
        "samples": samples if options.task else None,
        **_judge(read, texts, options),
        "texts": _rows(read, texts),
    }


def _settings(results, source, options):
    """Settings that another reading needs to come out alike."""
    unsaid = () if options.task else REWARD_SAMPLING
    found = dict.fromkeys(unsaid, "none, nothing is sampled")
    found |= {name: results[name] for name in ("discount", "value_offset")}
    if options.metric is None and options.task:
        found["metric"] = "all that judge single texts"
    columns = source.references if options.task else source.responses
    found["data digest"] = digest_of_texts(source.prompts, columns)
    for name in ("policy", _CONTROL):
        if results[name] is not None:
            digest = digest_of_files(results[name])[:16]
            found[f"{name} digest"] = digest
    return settings(options, found, [made_now()])


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
        control=control,
        num_resamples=options.num_resamples,
        seed=options.seed,
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
    """Rows of results, one for each text."""
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


def _write(results, read, texts, options):
    names = {"policy": pathlib.Path(options.policy).stem}
    if options.control is not None:
        names[_CONTROL] = f"{pathlib.Path(options.control).stem} (control)"
    files = heat_map_files(
        {name: read[role] for role, name in names.items()},
        texts.prompts,
        options.max_texts,
        # Beside the rewards, what likelihood alone says of the same tokens.
        quantities={
            names[role]: "log_probs" for role in names.keys() & {_CONTROL}
        },
        metrics=texts.metrics,
    )
    tables = _report(results)
    if tables:
        files["report.md"] = tables
    unused = () if options.task else REWARD_SAMPLING
    files[CONFIG] = config_text(options, keras.config.backend(), unused)
    # By this list the files are known to be ours, and it is written first.
    listed = results | {WRITTEN: sorted(["rewards.json", *files])}
    files = {
        "rewards.json": json.dumps(_plain(listed), allow_nan=False),
        **files,
    }
    write_output("rewards", files, options.output, tables)


def _report(results):
    """Tables for people; empty where there is no metric."""
    correlations, gains = results["correlations"], results["best_of_n"]
    if not correlations:
        return ""
    sections = [
        f"# {in_markdown(_title(results), 1000)}",
        f"{_origin(results)}Discount {results['discount']:g}, "
        f"value offset {results['value_offset']:g}. Intervals are of 95 %, "
        "over resampled prompts.",
        "## Correlation",
        "Within prompt: the mean over prompts of the coefficient among the "
        "responses to one.",
        format_correlations(correlations),
    ]
    reasons = {
        f"- {row.coefficient}, {row.scope}, {in_markdown(row.score)}: "
        f"{in_markdown(row.estimate.reason, 1000)}"
        for row in correlations
        if row.estimate.reason
    }
    if reasons:
        sections.append("\n".join(["Left out:", "", *sorted(reasons)]))
    for name, rows in gains.items():
        sections += [
            f"## Best of n, {in_markdown(name)}",
            format_best_of_n(rows),
        ]
    if not gains:
        sections.append("Best of n needs several samples of each prompt.")
    sections += [
        "## Settings",
        markdown_table(settings_table(results["settings"])),
    ]
    return "\n\n".join(sections) + "\n"


def _title(results):
    """Heading of the report: policies and data."""
    told = results["settings"]
    path, task = pathlib.Path(told["data path"]), told["task"]
    name = path.name if path.is_absolute() else ""
    data = f"{task} ({name})" if name else task
    if task == "none":
        data = name
    return f"Rewards of {pathlib.Path(results['policy']).stem} on {data}"


def _origin(results):
    num_texts, samples = len(results["texts"]), results["samples"]
    if samples is None:
        return f"{num_texts} texts. "
    return (
        f"{num_texts} samples of {in_markdown(results['policy'], 1000)} on "
        f"{samples['num_prompts']} prompts of {samples['task']}, split "
        f"{samples['split']}, T = {samples['temperature']:g}, seed "
        f"{samples['seed']}, each judged alone. "
    )


def _plain(value):
    if dataclasses.is_dataclass(value):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
