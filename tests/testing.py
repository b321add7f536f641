"""Tiny policies and data that the tests share; nothing is downloaded."""

import contextlib
import functools
import io
import json
import os
import pathlib
import tempfile

import keras
import keras_hub
import numpy as np
import pytest
import sentencepiece

from keras_irl.data import demonstrations
from keras_irl.models import scratch
from keras_irl.trainers.online_trainer import OnlineTrainer

# A file of prompts, and what is read of it.
PROMPT_LINES = [
    '"one"',
    "",
    '{"prompt": "two é", "response": "not read", "id": 3}',
    '{"messages": [{"role": "user", "content": "three"}]}',
    '{"messages": [{"role": "user", "content": "three"}, '
    '{"role": "assistant", "content": "not read"}]}',
]
PROMPTS_OF_LINES = ["one", "two é"] + ["User:\nthree\n\nAssistant:\n"] * 2
CORPUS = (
    "the quick brown fox jumped over the lazy dog",
    "call me ishmael",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "the earth is round",
    "der schnelle braune fuchs",
)
PROMPTS = ("the quick brown fox", "call me ishmael", "the earth is round")
RESPONSES = ("der schnelle braune fuchs", "call me", "the dog")

FAMILIES = ("t5", "bart", "gpt2")


def shared_data(name):
    """Path of a real data set beside the project, or a skip."""
    root = os.environ.get(
        "KERAS_IRL_DATA",
        pathlib.Path(__file__).parents[2] / "shared" / "data",
    )
    path = pathlib.Path(root) / name
    if not path.exists():
        pytest.skip(f"The data set {name} is not beside the project.")
    return path


def write_json_lines(folder, *rows, name="train.jsonl"):
    """Writes rows to a file, strings as they are, and returns its folder."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return folder


@functools.cache
def sentence_piece_proto():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS),
        model_writer=model,
        vocab_size=64,
        model_type="WORD",
        hard_vocab_limit=False,
        minloglevel=2,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        eos_piece="</s>",
        unk_piece="<unk>",
    )
    return model.getvalue()


def characters(specials):
    # A byte-pair vocabulary of single characters; keras-hub needs one merge.
    tokens = [*specials, *map(chr, range(33, 127)), "Ġ", "th"]
    return {token: i for i, token in enumerate(tokens)}, ["t h"]


def tiny_t5(max_length=12, dropout=0.0, dtype=None, num_layers=2):
    tokenizer = keras_hub.models.T5Tokenizer(proto=sentence_piece_proto())
    backbone = keras_hub.models.T5Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=num_layers,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=64,
        dropout=dropout,
        dtype=dtype,
    )
    preprocessor = keras_hub.models.T5Seq2SeqLMPreprocessor(
        tokenizer,
        encoder_sequence_length=max_length,
        decoder_sequence_length=max_length,
    )
    return keras_hub.models.T5Seq2SeqLM(
        backbone=backbone, preprocessor=preprocessor
    )


def tiny_bart(max_length=32, dropout=0.0, dtype=None, num_layers=2):
    vocabulary, merges = characters(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer = keras_hub.models.BartTokenizer(
        vocabulary=vocabulary, merges=merges
    )
    backbone = keras_hub.models.BartBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=num_layers,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=64,
        max_sequence_length=64,
        dropout=dropout,
        dtype=dtype,
    )
    preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor(
        tokenizer,
        encoder_sequence_length=max_length,
        decoder_sequence_length=max_length,
    )
    return keras_hub.models.BartSeq2SeqLM(
        backbone=backbone, preprocessor=preprocessor
    )


def tiny_gpt2(max_length=48, dropout=0.0, dtype=None, num_layers=2):
    vocabulary, merges = characters([])
    # The end token stands last, so that id 0, the padding, is a real token.
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = keras_hub.models.GPT2Tokenizer(
        vocabulary=vocabulary, merges=merges
    )
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        num_layers=num_layers,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=64,
        max_sequence_length=64,
        dropout=dropout,
        dtype=dtype,
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(
        tokenizer, sequence_length=max_length
    )
    return keras_hub.models.GPT2CausalLM(
        backbone=backbone, preprocessor=preprocessor
    )


def tiny_policy(family, **kwargs):
    builders = {"t5": tiny_t5, "bart": tiny_bart, "gpt2": tiny_gpt2}
    return builders[family](**kwargs)


@contextlib.contextmanager
def scratch_of_one_layer():
    """Makes policies `…-scratch-tiny` of one layer, trained as any others."""
    tiny = {**scratch.SIZES["tiny"], "num_layers": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scratch.SIZES, "tiny", tiny)
        yield


def compiled(function):
    """Compiles a function as a whole, where JAX compiles each operation."""
    if keras.config.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def value_and_gradient(function):
    """A compiled function that also returns its gradients, as arrays."""
    backend = keras.config.backend()
    if backend == "jax":
        import jax

        compiled = {}

        def evaluate(*arrays):
            argnums = tuple(range(len(arrays)))
            if argnums not in compiled:
                compiled[argnums] = jax.jit(
                    jax.value_and_grad(function, argnums=argnums)
                )
            return compiled[argnums](*arrays)

    elif backend == "tensorflow":
        import tensorflow

        @tensorflow.function
        def evaluate(*tensors):
            with tensorflow.GradientTape() as tape:
                tape.watch(tensors)
                value = function(*tensors)
            return value, tape.gradient(value, tensors)

    else:
        import torch

        def evaluate(*tensors):
            for tensor in tensors:
                tensor.requires_grad_(True)
            value = function(*tensors)
            return value, torch.autograd.grad(value, tensors)

    def call(*arrays):
        value, gradients = evaluate(
            *[keras.ops.convert_to_tensor(np.asarray(a)) for a in arrays]
        )
        return numpy(value), [numpy(gradient) for gradient in gradients]

    return call


def gradient(function, *arrays):
    """Gradients of a scalar function with respect to each of its arguments."""
    return value_and_gradient(function)(*arrays)[1]


def numpy(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def ragged_batch(seed=0, lengths=(6, 4, 1, 3), extra=0, vocabulary_size=7):
    """Random logits, actions and a right-padded mask, as float32 arrays."""
    generator = np.random.default_rng(seed)
    num_texts, width = len(lengths), max(lengths) + extra
    q_values = np.zeros((num_texts, width, vocabulary_size), "float32")
    actions = np.zeros((num_texts, width), "int32")
    mask = np.zeros((num_texts, width), "float32")
    for row, length in enumerate(lengths):
        shape = (length, vocabulary_size)
        q_values[row, :length] = generator.normal(0.0, 2.0, shape)
        actions[row, :length] = generator.integers(vocabulary_size, size=length)
        mask[row, :length] = 1.0
    return q_values, actions, mask


def quick_start(policy, seed=0):
    """Gives a tiny policy weights that learn fast, the same in every run.

    keras-hub's initial weights are made for a width of 768; a tiny T5 hardly
    learns from them.
    """
    generator = np.random.default_rng(seed)
    # T5 divides its last hidden states by the root of their width.
    is_t5 = isinstance(policy, keras_hub.models.T5Seq2SeqLM)
    for variable in policy.backbone.trainable_variables:
        if len(variable.shape) > 1:
            is_table = "embedding" in variable.path
            scale = variable.shape[-1 if is_table else 0] ** -0.5
            scale = 1.0 if is_table and is_t5 else 0.5 * scale
            variable.assign(scale * generator.standard_normal(variable.shape))
    return policy


def run_trainer_test(trainer_class, policy, **arguments):
    """What every trainer must do: learn, log, save, load, and go on."""
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    trainer = trainer_class(quick_start(policy), **arguments)
    trainer.compile(keras.optimizers.Adam(1e-2))
    for epoch in range(0, 400, 20):
        history = trainer.fit(
            dataset, initial_epoch=epoch, epochs=epoch + 20, verbose=0
        ).history
        if history["negative_log_likelihood"][-1] < 0.1:
            break
    logged = {"token_accuracy", "perplexity", "entropy", "reward"}
    logged |= {"loss", "start_value", "gradient_norm", *trainer.loss_names}
    if isinstance(trainer, OnlineTrainer):
        logged |= {"update_seconds", "sampling_ratio", *trainer.rollout_names}
    assert history.keys() == logged
    assert all(np.isfinite(values).all() for values in history.values())
    logs = trainer.evaluate(dataset, verbose=0, return_dict=True)
    assert logs["token_accuracy"] == 1.0

    policy.compile(sampler="greedy")
    outputs = policy.generate(list(PROMPTS), strip_prompt=is_causal(policy))
    assert [output.strip() for output in outputs] == list(RESPONSES)

    with tempfile.TemporaryDirectory() as folder:
        trainer.save(f"{folder}/trainer.keras")
        loaded = keras.saving.load_model(f"{folder}/trainer.keras")
    assert type(loaded) is trainer_class
    # Both go on alike: optimizer, step and data are where they were.
    ours, theirs = (
        model.fit(dataset, epochs=403, initial_epoch=400, verbose=0).history
        for model in (trainer, loaded)
    )
    for name, values in ours.items():
        if name.endswith(("_seconds", "_ratio")):
            continue
        # Rounding shows in a gradient of almost nothing.
        tolerance = 5e-2 if name == "gradient_norm" else 1e-3
        np.testing.assert_allclose(
            theirs[name], values, rtol=tolerance, atol=1e-4, err_msg=name
        )


class StepLosses(keras.callbacks.Callback):
    """Keeps the running mean of the loss after each step."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))


def is_causal(policy):
    # An encoder-decoder is a `CausalLM` too, by inheritance.
    return not isinstance(policy, keras_hub.models.Seq2SeqLM)
