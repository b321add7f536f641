"""`keras-irl rewards`: analyzes the rewards of a trained policy."""

import argparse
import collections
import dataclasses
import json
import math
import pathlib
from typing import Any

from keras_irl.cli import provenance
from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import config_text
from keras_irl.cli.devices import check_mesh
from keras_irl.cli.flag_values import any_number
from keras_irl.cli.flag_values import flag_of
from keras_irl.cli.flag_values import not_negative
from keras_irl.cli.flag_values import path_text
from keras_irl.cli.flag_values import positive
from keras_irl.cli.flag_values import share
from keras_irl.cli.flag_values import size
from keras_irl.cli.flag_values import temperature
from keras_irl.cli.flags import JSONL_SPLIT
from keras_irl.cli.flags import REWARD_SAMPLING
from keras_irl.cli.flags import TASKS
from keras_irl.cli.flags import Commands
from keras_irl.cli.flags import add_command
from keras_irl.cli.flags import add_devices
from keras_irl.cli.flags import add_machine
from keras_irl.cli.flags import add_metrics
from keras_irl.cli.flags import add_num_resamples
from keras_irl.cli.flags import add_output
from keras_irl.cli.flags import add_saved_policy
from keras_irl.cli.flags import add_saved_policy_lengths
from keras_irl.cli.flags import add_tokenize
from keras_irl.cli.output_lock import run_alone

_CONTROL = "control"


def add_arguments(commands: Commands) -> None:
    """Adds the command and its flags to the parser.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = add_command(
        commands,
        "rewards",
        "read the rewards of texts in a trained policy",
        "Reads the reward of every token of some texts in a trained "
        "policy: of samples that it writes to the prompts of a task, or "
        "of the texts in a file. Writes rewards.json, a heat map as "
        "heat_map.html and heat_map.png, and, where the texts have a "
        "metric, report.md: the correlation of reward and metric, and "
        "what it buys to keep the sample of highest reward.",
    )
    _add_policies(parser.add_argument_group("the policies"))
    _add_samples(parser.add_argument_group("texts that are sampled"))
    _add_texts(parser.add_argument_group("the texts"))
    _add_numbers(parser.add_argument_group("the rewards"))
    reading = parser.add_argument_group("the reading")
    add_saved_policy_lengths(reading)
    add_machine(reading)
    add_devices(reading)
    _add_output(parser.add_argument_group("the output"))


def check(options: argparse.Namespace) -> None:
    """Checks what can be checked without Keras.

    Args:
        options: What `parse_arguments` returns. What was not said of the
            samples is filled in.

    Raises:
        ValueError: If a flag, a file or the output folder is wrong.
    """
    from keras_irl.cli import early_checks
    from keras_irl.files.paths import check_text_file

    early_checks.check_encoding(options)
    _complete_sampling(options)
    if options.task is None:
        check_text_file(options.path)
    else:
        early_checks.check_task_flags(
            options.task, options.path, (options.split,)
        )
    _check_policies(options)
    check_mesh(options)
    early_checks.check_output_path(options.output)


def run(options: argparse.Namespace) -> int:
    """Runs the command.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The exit code.

    Raises:
        ValueError: See `read_rewards`.
    """
    return run_alone(read_rewards, options)


def read_rewards(options: argparse.Namespace) -> dict[str, Any]:
    """Reads the rewards of texts in a saved policy, and reports them.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        What `rewards.json` holds.

    Raises:
        ValueError: If a file, a text or a number is wrong. Nothing is written
            then.
    """
    from keras_irl.cli.judged_texts import load_prompts
    from keras_irl.cli.judged_texts import read_texts
    from keras_irl.cli.output_folder import check_output
    from keras_irl.cli.output_folder import check_unread
    from keras_irl.metrics.bootstrap import check_num_resamples

    check_num_resamples(options.num_resamples)
    check_output("rewards", options.output)
    check_unread(options.output, options.overwrite)
    # Before the policies: what is wrong with texts is found out sooner.
    task = load_prompts(options) if options.task else None
    given = None if task else read_texts(options.path, options.metric or [])
    saved = _load(options)
    numbers = _numbers(saved, options)
    readers = _readers(saved, numbers, options)
    texts = given or _sampled_texts(saved, task, options)
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


def _complete_sampling(options):
    """Checks where the texts come from, and fills in what was not said."""
    given = [
        name
        for name in (*REWARD_SAMPLING, "metrics")
        if vars(options)[name] is not None
    ]
    if options.task is None and options.path is None:
        raise ValueError(
            "Pass `--task`, for samples of the policy, or `--path`, a file "
            "with texts. Received: task=None, path=None"
        )
    if options.task is None and given:
        flags = " ".join(f"`{flag_of(name)}`" for name in given)
        raise ValueError(
            f"Without `--task` nothing is sampled: leave out {flags}, or name "
            f"a task. Received: {given[0]}={vars(options)[given[0]]}"
        )
    vars(options).update(
        {n: REWARD_SAMPLING[n] for n in REWARD_SAMPLING.keys() - set(given)}
    )


def _check_policies(options):
    from keras_irl.cli.saved_policies import check_policy_path
    from keras_irl.cli.saved_policies import is_same_path

    check_policy_path(options.policy)
    if options.control is not None:
        check_policy_path(options.control)
        if is_same_path(options.policy, options.control):
            raise ValueError(
                "The control is the policy itself, whose log-likelihoods are "
                "there anyway. Pass another, or leave `--control` out. "
                f"Received: policy={options.policy!r}, "
                f"control={options.control!r}"
            )


def _load(options):
    from keras_irl.cli.saved_policies import load_saved

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


def _readers(saved, numbers, options):
    from keras_irl.rewards import RewardReader

    return {
        name: RewardReader(
            known.policy,
            discount=numbers[name][0],
            value_offset=numbers[name][1],
            batch_size=options.batch_size,
        )
        for name, known in saved.items()
    }


def _sampled_texts(saved, task, options):
    from keras_irl.cli.judged_texts import judge_samples
    from keras_irl.rewards.scorer import check_prompts

    for known in saved.values():
        check_prompts(known.policy, list(task.prompts))
    return judge_samples(saved["policy"].policy, task, options)


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
    found["data digest"] = provenance.digest_of_texts(source.prompts, columns)
    for name in ("policy", _CONTROL):
        if results[name] is not None:
            digest = provenance.digest_of_files(results[name])[:16]
            found[f"{name} digest"] = digest
    made = [provenance.made_now()]
    return provenance.settings(options, found, made, split=options.split)


def _judge(read, texts, options):
    """The correlations and the gains of reranking, for each metric."""
    from keras_irl.rewards import best_of_n
    from keras_irl.rewards import correlation

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
    import keras

    from keras_irl.cli.output_folder import WRITTEN
    from keras_irl.cli.output_folder import write_output
    from keras_irl.reporting.heat_maps import heat_map_files
    from keras_irl.reporting.reward_analysis import format_analysis

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
    tables = format_analysis(results)
    if tables:
        files["report.md"] = tables
    unused = () if options.task else REWARD_SAMPLING
    files[CONFIG] = config_text(options, keras.config.backend(), unused)
    # The list of the files that are owned, which is written first.
    listed = results | {WRITTEN: sorted(["rewards.json", *files])}
    files = {
        "rewards.json": json.dumps(_plain(listed), allow_nan=False),
        **files,
    }
    write_output("rewards", files, options.output, tables)


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


def _add_policies(group):
    add = group.add_argument
    add_saved_policy(group)
    add(
        "--control",
        type=path_text,
        metavar="PATH",
        help=(
            "another, as a rule trained by likelihood: its log-likelihoods of "
            "the same texts stand beside the rewards"
        ),
    )


def _add_samples(group):
    add = group.add_argument
    add(
        "--task",
        metavar="NAME",
        help=(
            "samples of the policy on the prompts of this task are read, and "
            f"judged by its metrics; one of {', '.join(TASKS)}"
        ),
    )
    add(
        "--split",
        metavar="NAME",
        help=(
            f"of the task's data (default: {REWARD_SAMPLING['split']}); jsonl: "
            f"{JSONL_SPLIT}"
        ),
    )
    add(
        "--num-test",
        type=positive,
        metavar="N",
        help=f"its first N prompts (default: {REWARD_SAMPLING['num_test']})",
    )
    add(
        "--num-samples",
        type=size,
        metavar="N",
        help=f"samples a prompt (default: {REWARD_SAMPLING['num_samples']})",
    )
    add(
        "--temperature",
        type=temperature,
        metavar="NUMBER",
        help=f"of the samples (default: {REWARD_SAMPLING['temperature']:g})",
    )
    add_tokenize(group, default=None)
    add_metrics(group)


def _add_texts(group):
    add = group.add_argument
    add(
        "--path",
        type=path_text,
        help=(
            "folder or file of the task's data, if it needs any; without "
            'a task, a file with a line for each text: {"prompt": ..., '
            '"response": ...}; samples of one prompt repeat it, and '
            '"finished": false marks a text that was cut'
        ),
    )
    add(
        "--metric",
        action="append",
        metavar="NAME",
        help=(
            "a metric of the task (default: all that judge single texts), or "
            "a column of that file with a number, higher for better texts; "
            "may be given several times"
        ),
    )


def _add_numbers(group):
    add = group.add_argument
    add(
        "--discount",
        type=share,
        metavar="SHARE",
        help="discount of the rewards (default: the trainer's, or 0.99)",
    )
    add(
        "--value-offset",
        type=any_number,
        metavar="NATS",
        help="what is added to all values (default: the trainer's, or 0)",
    )


def _add_output(group):
    add_output(
        group,
        "runs/rewards",
        "the files",
        "the rewards that were read into the folder before",
    )
    add = group.add_argument
    add(
        "--max-texts",
        type=positive,
        default=50,
        metavar="N",
        help="texts on the heat map's page",
    )
    add_num_resamples(group)
    add(
        "--seed",
        type=not_negative,
        default=0,
        metavar="N",
        help="seed of the samples and of the bootstrap",
    )
