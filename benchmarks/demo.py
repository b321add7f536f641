"""The study behind `make demo`: which settings, chosen on validation.

    KERAS_BACKEND=jax python benchmarks/demo.py --output runs/demo_study.jsonl
    KERAS_BACKEND=jax python benchmarks/demo.py --only 400-pairs-400-steps

Trains tiny policies on the restaurants and judges them on the validation split,
never on the test. Each training appends a line to the file, and is left out
when it is there already; the table is printed at the end. demo.md tells what
came out.
"""

import argparse
import json
import pathlib

import keras

import keras_irl
from keras_irl.evaluation import quality_difference

IQLEARN = {"objective": "iqlearn", "td_weight": 0.1, "value_offset": "running"}
OBJECTIVES = {
    "mle": {"objective": "mle"},
    "iqlearn 0.1, running": IQLEARN,
    "iqlearn 0.3, running": IQLEARN | {"td_weight": 0.3},
    "mle, entropy bonus 0.1": {"objective": "mle", "entropy_weight": 0.1},
    "iqlearn 0.1, running_last": IQLEARN | {"value_offset": "running_last"},
    "iqlearn 0.1, -20": IQLEARN | {"value_offset": -20.0},
    "iqlearn 0.1, 0": IQLEARN | {"value_offset": 0.0},
}
# Pairs, steps and texts a step, and how many of the objectives are tried.
SIZES = {
    "400-pairs-250-steps": (400, 250, 16, 3),
    "400-pairs-400-steps": (400, 400, 16, 7),
    "200-pairs-400-steps": (200, 400, 16, 2),
    "400-pairs-600-steps": (400, 600, 32, 2),
}
LONGEST_PROMPT, LONGEST = 20, 36
TEMPERATURES = (0.0, 0.5, 0.75, 1.0, 1.25)
NUM_PROMPTS, NUM_SAMPLES = 100, 4


def main():
    options = parse()
    path = pathlib.Path(options.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = read(path)
    for size in options.only or SIZES:
        for name in list(OBJECTIVES)[: SIZES[size][-1]]:
            for seed in range(options.seeds):
                key = size, name, seed
                if key not in done:
                    done[key] = train(size, OBJECTIVES[name], seed)
                    line = {"key": key, **done[key]}
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(line) + "\n")
    print(table(done))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--output", default="runs/demo_study.jsonl")
    add("--only", choices=SIZES, action="append", help="a size, or several")
    add("--seeds", type=int, default=1)
    return parser.parse_args()


def read(path):
    if not path.exists():
        return {}
    lines = map(json.loads, path.read_text("utf-8").splitlines())
    return {tuple(line.pop("key")): line for line in lines}


def train(size, settings, seed):
    """Trains a policy, and judges it on validation."""
    num_pairs, steps, batch_size, _ = SIZES[size]
    task = keras_irl.tasks.load_task("restaurants", "train")
    held_out = keras_irl.tasks.load_task("restaurants", "validation")
    pairs = [column[:num_pairs] for column in task.pairs]
    keras.utils.set_random_seed(seed)
    policy = keras_irl.models.load_policy(
        "t5-scratch-tiny",
        texts=[*pairs[0], *pairs[1]],
        max_prompt_length=LONGEST_PROMPT,
        max_length=LONGEST,
        seed=seed,
    )
    trainer = make_trainer(policy, dict(settings))
    trainer.compile(
        keras.optimizers.Adam(learning_rate(steps), global_clipnorm=1.0)
    )
    history = trainer.fit(
        keras_irl.data.demonstrations(policy, *pairs, batch_size, seed=seed),
        steps_per_epoch=50,
        epochs=steps // 50,
        validation_data=keras_irl.data.demonstrations(
            policy, *[column[:400] for column in held_out.pairs], 64
        ),
        shuffle=False,
        verbose=0,
    ).history
    rows = keras_irl.evaluation.sweep(
        {"policy": policy},
        held_out.first(NUM_PROMPTS),
        TEMPERATURES,
        NUM_SAMPLES,
        batch_size=64,
        seed=seed,
    )
    return {
        "nll": history["val_negative_log_likelihood"],
        "points": {
            row["decoder"]: {
                "valid": row["metrics"]["valid"],
                "self_bleu": row["self_bleu"],
                **row["sample_metrics"],
            }
            for row in rows
        },
    }


def make_trainer(policy, settings):
    kind = {"mle": keras_irl.MLE, "iqlearn": keras_irl.IQLearn}
    return kind[settings.pop("objective")](policy, **settings)


def learning_rate(steps, warm_up=50):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, 0.1, warmup_target=3e-3, warmup_steps=warm_up
    )


def table(done):
    """What came out, and the difference to likelihood of the same seed."""
    lines = [
        "| size | objective | seed | NLL, end (least) | valid, greedy | "
        "T = 1 | different and right, at best | at equal Self-BLEU |",
        "| --- " * 8 + "|",
    ]
    for (size, name, seed), found in done.items():
        points = found["points"]
        best = max(p["coverage"] for p in points.values() if p["coverage"])
        likelihood = done.get((size, "mle", seed))
        difference = "–"
        if likelihood and name != "mle":
            value = quality_difference(curve(found), curve(likelihood)).value
            difference = f"{value:+.1f}"
        lines.append(
            f"| {size} | {name} | {seed} | {found['nll'][-1]:.3f} "
            f"({min(found['nll']):.3f}) | {points['greedy']['valid']:.1f} | "
            f"{points['T=1']['valid']:.1f} | {best:.1f} | {difference} |"
        )
    return "\n".join(lines)


def curve(found):
    return [
        (point["valid"], 100 - point["self_bleu"])
        for point in found["points"].values()
        if point["self_bleu"] is not None
    ]


if __name__ == "__main__":
    main()
