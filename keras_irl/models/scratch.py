"""Small policies with random weights, and tokenizers of their own."""

import collections.abc
import contextlib
import io
import json
import pathlib
import random
import string
import tempfile
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np
import sentencepiece
import tokenizers
from tokenizers import pre_tokenizers

from keras_irl.arguments import LARGEST_SEED
from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.error_texts import shortened
from keras_irl.keras_seams import weight_kind
from keras_irl.models.policy_arguments import check_dtype
from keras_irl.models.policy_arguments import check_lengths
from keras_irl.models.seeding import seeded
from keras_irl.types import Policy

SCRATCH_FAMILIES = ("t5", "gpt2", "bart")
SIZES = {
    "tiny": {"num_layers": 2, "num_heads": 4, "hidden_dim": 64},
    "mini": {"num_layers": 2, "num_heads": 4, "hidden_dim": 128},
    "small": {"num_layers": 4, "num_heads": 8, "hidden_dim": 256},
}
# A text that was written by the policy is read with its last token.
_SPARE_POSITIONS = 1

MAX_TEXTS = 50_000
_MAX_VOCABULARY = 2**20
_MAX_TEXT_BYTES = 2**16


def scratch_policy(
    name: str,
    texts: Iterable[str],
    max_prompt_length: int = 128,
    max_length: int | None = 256,
    *,
    vocabulary_size: int = 1000,
    seed: int = 0,
    dtype: str | None = None,
) -> Policy:
    """Makes a small random policy and trains its tokenizer.

    Texts and numbers alike make the same policy: the same tokens, and the
    same weights on every backend. No global seed is touched.

    Kernels start at a variance of 1 / fan-in, and the vocabulary's head so
    that logits deviate by 0.5: the first loss is about the logarithm of the
    vocabulary, and so is the first value of every state. There is no dropout.

    Args:
        name: `t5-scratch-tiny`, `-mini` or `-small`; likewise with `gpt2` and
            `bart`.
        texts: The texts that the tokenizer is trained on, prompts and
            responses of the task: an iterable of strings. It is read once; of
            more than 50,000 a sample is used.
        max_prompt_length: The longest prompt in tokens that an encoder reads.
            Means nothing to a `CausalLM`. Defaults to 128.
        max_length: The longest text in tokens: of prompt and response for
            GPT-2, of the response for T5 and BART. GPT-2 and BART have one
            position more, for the last token of what they write themselves in
            `OnlineIQLearn` and `GAIL`. Defaults to 256.
        vocabulary_size: The number of tokens aimed at. Defaults to 1000.
        seed: The seed of the weights. Defaults to 0.
        dtype: The dtype policy of its layers, such as `"mixed_bfloat16"`.
            Defaults to `None`, for that of Keras.

    Returns:
        A `keras_hub.models.Seq2SeqLM`, or a `CausalLM` for GPT-2, with its
        preprocessor.

    Raises:
        ValueError: If there is no such policy, no text or no such dtype, or a
            number is out of its range.

    Example:
    ```python
    policy = keras_irl.models.scratch_policy(
        "t5-scratch-tiny", ["2 + 3 =", "5"], max_prompt_length=8, max_length=8
    )
    policy.generate("2 + 3 =")
    ```
    """
    family, size = _parse(name)
    prompt_length, length = check_lengths(max_prompt_length, max_length)
    vocabulary_size = _check_vocabulary_size(vocabulary_size)
    seed = check_integer("seed", seed, most=LARGEST_SEED)
    texts = draw_texts(texts)
    build = {"t5": _t5, "gpt2": _gpt2, "bart": _bart}[family]
    sizes = {**SIZES[size], "dropout": 0.0, "dtype": check_dtype(dtype)}
    with seeded(seed):
        policy = build(
            texts,
            vocabulary_size,
            max_prompt_length=prompt_length,
            max_length=length,
            sizes=sizes,
        )
    _initialize(policy.backbone, seed)
    return policy


def _parse(name):
    family, _, size = str(name).partition("-scratch-")
    if (
        not isinstance(name, str)
        or family not in SCRATCH_FAMILIES
        or size not in SIZES
    ):
        raise ValueError(
            "There is no such scratch policy. A name is one of "
            f"{', '.join(SCRATCH_FAMILIES)}, then `-scratch-`, then one of "
            f"{', '.join(SIZES)}. Received: name={shortened(name)}"
        )
    return family, size


def _t5(texts, vocabulary_size, *, max_prompt_length, max_length, sizes):
    tokenizer = sentence_piece_tokenizer(texts, vocabulary_size)
    backbone = keras_hub.models.T5Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        # Gated, it has three matrices where the others have two.
        intermediate_dim=2 * sizes["hidden_dim"],
        tie_embedding_weights=False,
        **sizes,
    )
    preprocessor = keras_hub.models.T5Seq2SeqLMPreprocessor(
        tokenizer,
        encoder_sequence_length=max_prompt_length,
        decoder_sequence_length=max_length,
    )
    return keras_hub.models.T5Seq2SeqLM(backbone, preprocessor)


def _gpt2(texts, vocabulary_size, *, max_prompt_length, max_length, sizes):
    vocabulary, merges = _byte_pair_vocabulary(texts, vocabulary_size - 1, [])
    # Last, as in the GPT-2 that was published: padding has id 0, and
    # keras-hub's `generate` takes padding with the id of the end for an end.
    vocabulary["<|endoftext|>"] = len(vocabulary)
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary, merges)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        intermediate_dim=4 * sizes["hidden_dim"],
        max_sequence_length=max_length + _SPARE_POSITIONS,
        **sizes,
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(
        tokenizer, sequence_length=max_length
    )
    return keras_hub.models.GPT2CausalLM(backbone, preprocessor)


def _bart(texts, vocabulary_size, *, max_prompt_length, max_length, sizes):
    vocabulary, merges = _byte_pair_vocabulary(
        texts, vocabulary_size, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    )
    tokenizer = keras_hub.models.BartTokenizer(vocabulary, merges)
    backbone = keras_hub.models.BartBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        intermediate_dim=4 * sizes["hidden_dim"],
        max_sequence_length=max(max_prompt_length, max_length)
        + _SPARE_POSITIONS,
        **sizes,
    )
    preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor(
        tokenizer,
        encoder_sequence_length=max_prompt_length,
        decoder_sequence_length=max_length,
    )
    return keras_hub.models.BartSeq2SeqLM(backbone, preprocessor)


def _initialize(backbone, seed):
    # keras-hub starts its backbones with standard deviations made for a width
    # of 768, and T5 with embeddings near 1.0 that hardly tell tokens apart.
    generator = np.random.default_rng(seed)
    for variable in backbone.trainable_variables:
        scale = _scale(variable, backbone)
        if scale is not None:
            noise = generator.standard_normal(variable.shape, "float32")
            variable.assign(scale * noise)


def _scale(variable, backbone):
    """The standard deviation of a weight, None for biases and norms."""
    width = backbone.hidden_dim
    is_table = variable is backbone.token_embedding.embeddings
    if is_table and not backbone.token_embedding.tie_weights:
        return 1.0
    kind = weight_kind(variable)
    if kind == "embeddings":
        # The last hidden state has the length √width: logits deviate by 0.5.
        return 0.5 * width**-0.5
    if kind is None:
        return None
    # A kernel of three axes maps the hidden state to heads, or heads to it.
    fan_in = variable.shape[0] if len(variable.shape) == 2 else width
    if kind == "query":
        # T5 does not divide its attention scores by the width of a head.
        fan_in *= width // backbone.num_heads
    return fan_in**-0.5


def sentence_piece_tokenizer(
    texts: Sequence[str], vocabulary_size: int
) -> keras_hub.tokenizers.Tokenizer:
    """Trains the byte-pair tokenizer of a T5.

    What it tokenizes it gives back: characters are not normalized, spaces not
    merged, and a newline is a token of its own. Numbers are split into digits.
    A character that none of the texts has, digits aside, becomes the unknown
    token.

    Args:
        texts: A list of strings.
        vocabulary_size: The number of tokens aimed at. There will be fewer if
            the texts have too few words, and more if they have too many
            characters.

    Returns:
        A `keras_hub.models.T5Tokenizer`.
    """
    num_characters = len(set(string.digits).union(*texts))
    model = io.BytesIO()
    with _no_normalization() as rules:
        # Besides its characters it needs four special tokens and a space.
        _train(texts, max(vocabulary_size, num_characters + 8), model, rules)
    return keras_hub.models.T5Tokenizer(proto=model.getvalue())


@contextlib.contextmanager
def _no_normalization():
    """A file of rules that leave every character as it is.

    TensorFlow's reader tells the terminal where a tokenizer has no rules. This
    one is of two code points that are no characters and never will be.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rules.tsv"
        path.write_text("10FFFE\t10FFFF\n")
        yield path


def _train(texts, vocabulary_size, model, rules):
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        # Unigrams would fall apart to characters where the texts are few words.
        model_type="bpe",
        vocab_size=vocabulary_size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        # Numbers that no text has can still be calculated.
        required_chars=string.digits,
        normalization_rule_tsv=str(rules),
        remove_extra_whitespaces=False,
        user_defined_symbols=["\n"],
        split_digits=True,
        max_sentence_length=_MAX_TEXT_BYTES,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        eos_piece="</s>",
        unk_piece="<unk>",
        minloglevel=2,
    )


def _byte_pair_vocabulary(
    texts: Sequence[str], vocabulary_size: int, special_tokens: Sequence[str]
) -> tuple[dict[str, int], list[str]]:
    """Trains a byte-level byte-pair encoding, as GPT-2 and BART have.

    Every text can be tokenized, since every byte is a token. No pair crosses
    the border of a word, a digit or a newline, so keras-hub's two ways to
    split texts, that of TensorFlow and that without it, give the same tokens.

    Args:
        texts: A list of strings.
        vocabulary_size: The number of tokens aimed at. There will be fewer if
            the texts have too few words, and at least one for each byte.
        special_tokens: A list of strings, the first tokens.

    Returns:
        A pair of the dict from tokens to ids and the list of merged pairs.
    """
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split("\n", "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"]
    merges = [" ".join(pair) for pair in model["merges"]]
    if not merges:
        # Texts of single letters; keras-hub's tokenizer needs one pair.
        vocabulary["th"] = len(vocabulary)
        merges = ["t h"]
    return vocabulary, merges


def _check_vocabulary_size(size: Any) -> int:
    """Returns the size of a vocabulary as an `int`, or raises `ValueError`."""
    return check_integer("vocabulary_size", size, 1, _MAX_VOCABULARY)


def draw_texts(texts: Iterable[str], seed: int = 0) -> list[str]:
    """Draws at most `MAX_TEXTS` texts, holding no more than that in memory.

    Args:
        texts: An iterable of strings, read once.
        seed: The seed of the draw, which is the same for the same texts.

    Returns:
        A list of strings.

    Raises:
        ValueError: If there are no texts, or one of them is no string.
    """
    generator = random.Random(seed)
    sample: list[str] = []
    # A generator will do: the texts need not all be in memory.
    is_stream = isinstance(texts, collections.abc.Iterable) and not isinstance(
        texts, collections.abc.Sized
    )
    rows = texts if is_stream else column("texts", texts)
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise ValueError(
                "A tokenizer is trained on strings. "
                f"Received: texts[{row}]={shortened(text)}"
            )
        if len(sample) < MAX_TEXTS:
            sample.append(text)
        elif (place := generator.randrange(row + 1)) < MAX_TEXTS:
            sample[place] = text
    if not any(text.strip() for text in sample):
        raise ValueError(
            "A scratch policy trains its tokenizer on the texts of its task, "
            "and there are none. Pass prompts and responses as `texts`. "
            f"Received: texts={shortened(texts)}"
        )
    return sample
