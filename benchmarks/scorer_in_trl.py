"""A policy's reward, maximized by TRL.

A small GPT-2 of keras_irl learns the arithmetic task from demonstrations by
IQLearn. `keras_irl.rewards.as_scorer` makes a reward function of it, and the
`GRPOTrainer` of TRL trains a GPT-2 of transformers by that function alone. It
has a token for each character, and started from random weights with some steps
of likelihood. Texts that are cut count as cut.

The reward of what it writes rises. What is nearest to hand is to end a text at
once, which costs less than to write what the reward never saw. Demonstrations
have a higher reward than that: look at the lengths too.

    python benchmarks/scorer_in_trl.py

The first call makes a virtual environment that sees the packages of this
Python and has TRL beside them. With `--imitation-steps 2 --warm-up-steps 2
--steps 2` it is quick.
"""

import argparse
import os
import pathlib
import random
import statistics
import subprocess
import sys
import sysconfig

PEERS = ("trl", "datasets")
LENGTH = 44


def python_beside(folder):
    """A Python with TRL beside the packages of this one, made if need be."""
    python = pathlib.Path(folder) / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        done = subprocess.run(
            [python, "-c", ask], check=True, capture_output=True, text=True
        )
        beside = pathlib.Path(done.stdout.strip()) / "beside.pth"
        beside.write_text(sysconfig.get_path("purelib") + "\n")
        install = [python, "-m", "pip", "install", "--quiet", *PEERS]
        subprocess.run(install, check=True)
    return str(python)


def imitate(task, num_steps):
    """A policy of keras_irl that was taught the task, and its discount."""
    import keras

    import keras_irl

    keras.utils.set_random_seed(0)
    texts = [*task.prompts[:1000], *task.responses[:1000]]
    policy = keras_irl.models.scratch_policy(
        "gpt2-scratch-tiny", texts, max_length=64, vocabulary_size=300
    )
    batches = keras_irl.data.demonstrations(
        policy, *task.pairs, batch_size=32, seed=0
    )
    # The scorer is given a policy, and so knows of no offset.
    trainer = keras_irl.IQLearn(policy, discount=0.9, value_offset=0)
    trainer.compile(keras.optimizers.Adam(3e-3))
    trainer.fit(
        batches.batches(0, num_steps), steps_per_epoch=num_steps, verbose=0
    )
    return policy, trainer.discount


def random_learner():
    """A GPT-2 of transformers with a token for each character."""
    import tokenizers
    import transformers

    names = ["<end>", "<unk>", *"0123456789+=, answer"]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys(names))}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel(vocabulary, "<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(
        tokenizers.Regex("."), "isolated"
    )
    tokenizer.decoder = tokenizers.decoders.Fuse()
    transformers.set_seed(0)
    config = transformers.GPT2Config(
        vocab_size=len(vocabulary),
        n_positions=64,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )
    return (
        transformers.GPT2LMHeadModel(config),
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            eos_token="<end>",
            pad_token="<end>",
            unk_token="<unk>",
        ),
    )


def warm_up(model, tokenizer, task, num_steps):
    """Some steps of likelihood, so that its texts are about the task."""
    import torch

    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    pairs = list(zip(*task.pairs, strict=True))
    draw = random.Random(0)
    for _ in range(num_steps):
        batch = draw.sample(pairs, 32)
        texts = [f"{p}{r}{tokenizer.eos_token}" for p, r in batch]
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        is_read = inputs["attention_mask"] > 0
        labels = inputs["input_ids"].where(is_read, torch.tensor(-100))
        for row, (prompt, _) in enumerate(batch):
            labels[row, : len(prompt)] = -100
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def minding_cuts(score, end_id):
    """The same reward, of texts that may have been cut."""

    def reward(prompts, completions, completion_ids, **columns):
        ended = [ids[-1] == end_id for ids in completion_ids]
        return score(prompts, completions, finished=ended)

    return reward


def train(options):
    # Here, and not where Keras reads its backend.
    import datasets
    import transformers
    import trl

    import keras_irl

    task = keras_irl.data.load_task("arithmetic", "train")
    policy, discount = imitate(task, options.imitation_steps)
    score = keras_irl.rewards.as_scorer(policy, discount)
    model, tokenizer = random_learner()
    warm_up(model, tokenizer, task, options.warm_up_steps)
    arguments = trl.GRPOConfig(
        output_dir=str(pathlib.Path(options.folder) / "output"),
        max_steps=options.steps,
        per_device_train_batch_size=32,
        num_generations=8,
        max_completion_length=LENGTH,
        learning_rate=1e-3,
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    )
    trainer = trl.GRPOTrainer(
        model,
        reward_funcs=[minding_cuts(score, tokenizer.eos_token_id)],
        args=arguments,
        train_dataset=datasets.Dataset.from_dict({"prompt": task.prompts}),
        processing_class=tokenizer,
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    report(trainer.state.log_history, task, score, options)


def report(history, task, score, options):
    # Only here: the process that needs TRL has chosen its backend by now.
    from keras_irl.reporting.tables import Table
    from keras_irl.reporting.tables import markdown_table

    rows = [row for row in history if "reward" in row]
    demonstrated = score(list(task.prompts[:64]), list(task.responses[:64]))
    size = max(1, len(rows) // 5)
    print(
        f"\n{options.imitation_steps} steps of IQLearn; another policy, with "
        f"{options.warm_up_steps} of likelihood, then {options.steps} of TRL's "
        "GRPO\n"
    )
    lines = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        mean = {
            name: statistics.fmean(row[name] for row in part)
            for name in (
                "reward",
                "reward_std",
                "completions/mean_length",
                "completions/clipped_ratio",
            )
        }
        numbers = [f"{value:.2f}" for value in mean.values()]
        lines.append([f"{start + 1} to {start + len(part)}", *numbers])
    header = ["steps", "reward", "its deviation", "tokens", "cut"]
    print(markdown_table(Table(header, lines)))
    print(f"\nDemonstrations: {statistics.fmean(demonstrated):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--folder", default="runs/trl", help="of the virtual environment")
    add("--imitation-steps", type=int, default=300)
    add("--warm-up-steps", type=int, default=400)
    add("--steps", type=int, default=100)
    add("--is-inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.is_inside:
        return train(options)
    root = str(pathlib.Path(__file__).parents[1])
    command = [python_beside(options.folder), __file__, *sys.argv[1:]]
    # TensorFlow comes with keras-hub, and tells of itself.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    environment = {"KERAS_BACKEND": "torch", "PYTHONPATH": root, **quiet}
    done = subprocess.run(
        [*command, "--is-inside"], env={**os.environ, **environment}
    )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
