"""The paper's claims on a pretrained policy: likelihood against imitation.

    python benchmarks/pretrained.py e2e --preset FOLDER --data ../shared/data

One command a task (e2e, gsm8k, scitldr). It goes through five stages, each of
which is resumed where it was stopped:

1. search: every method at every learning rate, judged on validation data;
2. train: each method at its best rate, several seeds, also on little data;
3. judge: all of them on test prompts, by `keras-irl evaluate`;
4. rewards: correlation of rewards with quality, beside likelihood's;
5. `table.md`: what was found beside what the paper reports, each line marked
   shown, not shown or refuted at this scale.

`--size cpu` trains low-rank updates on 2 cores, `--size gpu` all weights.
"""

import argparse
import json
import math
import pathlib
from typing import NamedTuple

from studies import Comparison
from studies import drawn_folder
from studies import run_study
from studies import validation_folder

# What each method is trained with, but for gail, which goes on from mle.
METHODS = {
    "mle": "--objectives mle",
    "mle-entropy": "--objectives mle-entropy --entropy-weight 0.1",
    "iqlearn 0.01": "--objectives iqlearn --td-weight 0.01",
    "iqlearn 0.1": "--objectives iqlearn --td-weight 0.1",
    "iqlearn 0.1 offset 0": (
        "--objectives iqlearn --td-weight 0.1 --value-offset 0"
    ),
    "iqlearn 0.5": "--objectives iqlearn --td-weight 0.5",
    "online-iqlearn 0.1": "--objectives online-iqlearn --mix-in 0.1",
    "online-iqlearn 0.5": "--objectives online-iqlearn --mix-in 0.5",
}
OFFSET = "--value-offset running"
SIZES = {
    "cpu": (
        "--backend torch --lora-rank 8 --dtype mixed_bfloat16 --batch-size "
        "16 --steps 40 --num-train 600 --learning-rate-warm-up 5 --num-test 48 "
        "--num-validation 64 --evaluate-every 20 --gail-warm-up-steps 10"
    ),
    "gpu": (
        "--backend jax --dtype mixed_bfloat16 --optimizer adamw --batch-size "
        "32 --steps 600 --learning-rate-warm-up 50 --num-test 200 "
        "--evaluate-every 100 --gail-warm-up-steps 100"
    ),
}
RATES = {"cpu": ("1e-3", "3e-3"), "gpu": ("1e-5", "5e-5")}
# Test prompts, samples of each, and texts of a batch.
JUDGED = {"cpu": (32, 2, 64), "gpu": (200, 4, 200)}
# Within a prompt, fewer than three samples have no correlation.
REWARDED = {"cpu": (32, 4, 64), "gpu": (200, 8, 200)}
TEMPERATURES = "greedy,T=0.25,T=0.5,T=0.75,T=1"
DECODERS = {"cpu": TEMPERATURES, "gpu": f"{TEMPERATURES},beam=4"}
# Little data, seen many times.
SMALL = "--num-train 64 --keep last"
SMALL_METHODS = ("mle", "iqlearn 0.1")


class Claim(NamedTuple):
    """What the paper says of a method beside likelihood.

    Attributes:
        name: Of the quantity.
        sign: 1 where the paper has it larger than likelihood's, -1 where
            smaller, 0 where it says nothing.
        paper: Its numbers, in words.
    """

    name: str
    sign: int
    paper: str


QUALITY = Claim("quality, greedy", 1, "GSM8k 4.95 to 6.45; XSUM 36.0 to 36.2")
OVERLAP = Claim("Self-BLEU, T = 1", -1, "GSM8k 79.1 to 77.2; XSUM 60 to 45")
EQUAL = Claim("quality at equal Self-BLEU", 1, "above, at T up to 0.5 to 1")
ENTROPY = Claim("entropy, nats a token", 1, "higher")
LENGTH = Claim("length, tokens", 0, "no number")
SMALL_DATA = Claim("quality, little data", 1, "XSUM, 1k: 23.5 to 28.5")
BEAM = Claim("gain by beam search", -1, "WMT22 BLEU: +1.5 to 0.0")
REWARDS = Claim(
    "Spearman of reward and quality", 1, "GSM8k .17, TLDR .65; MLE -.05 to .04"
)
COST = Claim("seconds a step", 1, "T5-base 189 to 196 ms, xl 1031 to 1355")


def main():
    options = parse()
    folder = pathlib.Path(options.output) / options.task
    rates = chosen_rates(options, folder)
    runs = trained(options, folder, rates)
    paths = policy_paths(folder, rates, options.seeds)
    judged = evaluated(options, folder, paths)
    rewards = {name: rewards_of(options, folder, name, paths) for name in paths}
    text = table(judged, runs, rewards)
    (folder / "table.md").write_text(text, "utf-8")
    print(text)


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    tasks = ("e2e", "gsm8k", "scitldr", "e2e-delexicalized")
    add("task", choices=tasks)
    add("--preset", required=True, help="folder of a pretrained policy")
    add("--data", default="../shared/data", help="folder of the data sets")
    add("--output", default="runs/pretrained")
    add("--size", choices=SIZES, default="cpu")
    add("--seeds", type=int, default=3)
    add(
        "--rates",
        help="learning rates that are searched; one alone is taken as it is",
    )
    add(
        "--methods",
        default=",".join([*METHODS, "gail"]),
        help="what is trained, mle among it (default: all)",
    )
    add(
        "--skip",
        default="",
        help="what to leave out, of little-data and rewards",
    )
    add("--flags", default="", help="further flags of `keras-irl compare`")
    options = parser.parse_args()
    options.methods = options.methods.split(",")
    known = [*METHODS, "gail"]
    if not {"mle"} <= set(options.methods) <= set(known):
        parser.error(f"--methods must be mle and others of {known}")
    options.goes_on = "gail" in options.methods
    options.methods = [name for name in options.methods if name != "gail"]
    return options


def data_of(options):
    """The task's data in an order that is drawn, as a part of it is read."""
    return drawn_folder(
        options.task,
        pathlib.Path(options.data) / options.task.split("-")[0],
        pathlib.Path(options.output) / options.task / "data",
    )


def comparison(options, name, data, method, rate, *more):
    flags = f"{SIZES[options.size]} {OFFSET} {METHODS[method]}".split()
    has_gail = method == "mle" and options.goes_on
    return Comparison(
        name,
        [
            *("--task", options.task, "--path", str(data)),
            *("--preset", options.preset, "--learning-rate", rate),
            *("--num-samples", "1", "--temperatures", "0"),
            *flags,
            *(("--objectives", "mle,gail") if has_gail else ()),
            *options.flags.split(),
            *more,
        ],
    )


def chosen_rates(options, folder):
    """The learning rate of each method, by quality on validation data."""
    path = folder / "rates.json"
    if path.exists():
        return json.loads(path.read_text("utf-8"))
    rates = RATES[options.size]
    if options.rates is not None:
        rates = options.rates.split(",")
    if len(rates) == 1:
        return dict.fromkeys(options.methods, rates[0])
    data = validation_folder(
        options.task, data_of(options), folder / "validation"
    )
    found = run_study(
        [
            comparison(options, f"{method} at {rate}", data, method, rate)
            for method in options.methods
            for rate in rates
        ],
        folder / "search",
        1,
    )
    chosen = {
        method: max(
            rates, key=lambda rate: quality(found[f"{method} at {rate}"])
        )
        for method in options.methods
    }
    path.write_text(json.dumps(chosen, indent=1), "utf-8")
    return chosen


def quality(results):
    """Greedy quality of the first policy of a comparison."""
    runs = next(iter(results["objectives"].values()), [])
    values = [run["rows"][0]["metrics"][results["metric"]] for run in runs]
    return sum(values) / len(values) if values else -math.inf


def trained(options, folder, rates):
    """Trains all methods on the task; results by name."""
    data = data_of(options)
    # `evaluated` judges them.
    hardly = ("--num-test", "16")
    normal = [
        comparison(options, method, data, method, rates[method], *hardly)
        for method in options.methods
    ]
    small = [
        comparison(
            options,
            f"{method}, little data",
            data,
            method,
            rates[method],
            *SMALL.split(),
            # Without gail, which little data says nothing of.
            *("--objectives", method.split()[0]),
        )
        for method in SMALL_METHODS
        if "little-data" not in options.skip
    ]
    return run_study([*normal, *small], folder / "train", options.seeds)


def policy_paths(folder, rates, num_seeds):
    """The files of all policies, by method."""
    names = {method: (method, method.split()[0]) for method in rates}
    names["gail"] = ("mle", "gail")
    found = {}
    for method, (comparison_name, policy) in names.items():
        place = folder / "train" / comparison_name / "policies"
        paths = [place / f"{policy}-{seed}.keras" for seed in range(num_seeds)]
        found[method] = [str(path) for path in paths if path.exists()]
    return {method: paths for method, paths in found.items() if paths}


def task_flags(options, counts):
    flags = ["--task", options.task, "--path", str(data_of(options))]
    num_test, num_samples, batch_size = counts[options.size]
    if options.size == "cpu":
        flags += ["--backend", "torch"]
    flags += ["--num-test", str(num_test), "--batch-size", str(batch_size)]
    return [*flags, "--num-samples", str(num_samples)]


def evaluated(options, folder, paths):
    """Judges all policies on test prompts, and returns the results."""
    from keras_irl.__main__ import main as keras_irl

    output = folder / "test"
    policies = [
        flag
        for name, of_one in paths.items()
        for path in of_one
        for flag in ("--policy", f"{name}={path}")
    ]
    command = ["evaluate", *task_flags(options, JUDGED), *policies]
    command += ["--decoders", DECODERS[options.size], "--output", str(output)]
    code = keras_irl(command)
    if code:
        raise SystemExit(code)
    return json.loads((output / "results.json").read_text("utf-8"))


def rewards_of(options, folder, name, paths):
    """The correlations of a method's first policy, likelihood the control."""
    from keras_irl.__main__ import main as keras_irl

    if name in ("mle-entropy", "gail") or "rewards" in options.skip:
        return None
    output = folder / "rewards" / name.replace(" ", "-")
    if not (output / "rewards.json").exists():
        command = ["rewards", *task_flags(options, REWARDED)]
        command += ["--output", str(output), "--policy", paths[name][0]]
        if name != "mle":
            command += ["--control", paths["mle"][0]]
        code = keras_irl(command)
        if code:
            raise SystemExit(code)
    return json.loads((output / "rewards.json").read_text("utf-8"))


# --- the table ---------------------------------------------------------------


def table(judged, runs, rewards):
    """Every claim for every method, beside likelihood and the paper."""
    lines = [
        "| claim | method | mle | method's | difference (95 %) | paper | |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    for method in judged["objectives"]:
        if method != "mle":
            lines += rows_of(method, judged, runs, rewards)
    lines.append(
        "\nDifferences of runs of equal seed, with Student's interval over "
        "seeds; at equal Self-BLEU over prompts too. Of rewards, the column of "
        "mle is the log-likelihood of its policy, that of the method the "
        "reward, and what follows its interval over prompts, no difference. "
        "Little data, rewards and seconds are those of `keras-irl`'s reports."
    )
    return "\n".join(lines) + "\n"


def rows_of(method, judged, runs, rewards):
    metric = judged["metric"]

    def of_rows(name, decoder, read):
        return [
            read(row)
            for run in judged["objectives"][name]
            for row in run["rows"]
            if row["decoder"] == decoder
        ]

    def measured(decoder, read):
        return [of_rows(name, decoder, read) for name in ("mle", method)]

    def gains(name):
        # None where no beams were judged.
        beams = of_rows(name, "beam=4", lambda row: row["metrics"][metric])
        greedy = of_rows(name, "greedy", lambda row: row["metrics"][metric])
        return [a - b for a, b in zip(beams, greedy, strict=False)]

    found = {
        QUALITY: measured("greedy", lambda row: row["metrics"][metric]),
        OVERLAP: measured("T=1", lambda row: row["self_bleu"]),
        ENTROPY: measured("T=1", lambda row: row["entropy"]),
        LENGTH: measured("greedy", lambda row: row["num_tokens"]),
        BEAM: [gains("mle"), gains(method)],
        COST: [seconds(runs, "mle"), seconds(runs, method)],
    }
    small = [runs.get(f"{name}, little data") for name in ("mle", method)]
    if all(small):
        found[SMALL_DATA] = [greedy_of(results) for results in small]
    rows = [row(claim, method, *pair) for claim, pair in found.items()]
    rows.append(front_row(method, judged))
    return [*rows, *reward_rows(method, rewards)]


def seconds(runs, method):
    name = "mle" if method == "gail" else method
    objective = method.split()[0]
    found = runs[name]["objectives"].get(objective, [])
    return [run["seconds_per_step"] for run in found]


def greedy_of(results):
    runs = next(iter(results["objectives"].values()))
    return [run["rows"][0]["metrics"][results["metric"]] for run in runs]


def row(claim, method, of_mle, of_method):
    from keras_irl.metrics.bootstrap import mean_interval

    pairs = zip(of_mle, of_method, strict=False)
    differences = [b - a for a, b in pairs if None not in (a, b)]
    low = high = None
    if len(differences) > 1:
        low, high = mean_interval(differences)
    value = mean(differences)
    return line(claim, method, mean(of_mle), mean(of_method), value, low, high)


def front_row(method, judged):
    (front,) = (f for f in judged["fronts"] if f["policy"] == method)
    ends = front["difference_low"], front["difference_high"]
    return line(EQUAL, method, None, None, front["difference"], *ends)


def reward_rows(method, rewards):
    """Spearman's of accumulated rewards, beside that of likelihood."""
    if rewards.get(method) is None:
        return []
    correlations = rewards[method]["correlations"]
    controls = {
        kind_of(entry): entry["estimate"]["value"]
        for entry in correlations
        if entry["score"] == "control log-likelihood"
    }
    rows = []
    for entry in correlations:
        is_spearman = entry["coefficient"].startswith("spearman")
        if entry["score"] != "reward" or not is_spearman:
            continue
        kind = kind_of(entry)
        name = f"{REWARDS.name}: {', '.join(kind)}"
        value, *ends = (entry["estimate"][k] for k in ("value", "low", "high"))
        cells = controls.get(kind), value, value, *ends
        rows.append(line(REWARDS._replace(name=name), method, *cells))
    return rows


def kind_of(entry):
    """What a correlation is of: metric, scope and what is held fixed."""
    fixed = entry["coefficient"].removeprefix("spearman").strip()
    return tuple(filter(None, (entry["metric"], entry["scope"], fixed)))


def line(claim, method, of_mle, of_method, value, low, high):
    interval = ""
    if low is not None:
        interval = f" ({low:+.2f} to {high:+.2f})"
    difference = "–" if value is None else f"{value:+.2f}{interval}"
    cells = [
        claim.name,
        method,
        number(of_mle),
        number(of_method),
        difference,
        claim.paper,
        verdict(claim, low, high),
    ]
    return f"| {' | '.join(cells)} |"


def verdict(claim, low, high):
    """Whether an interval excludes zero, on the paper's side or the other."""
    if not claim.sign:
        return ""
    if low is None:
        return "not shown"
    low, high = sorted((claim.sign * low, claim.sign * high))
    if low > 0:
        return "shown"
    return "refuted" if high < 0 else "not shown"


def mean(values):
    values = [value for value in values if value is not None]
    return sum(values) / len(values) if values else None


def number(value):
    return "–" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
