"""Tokenizers that are trained on the texts of a task, of few tokens."""

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
import sentencepiece
import tokenizers
from tokenizers import pre_tokenizers

from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.error_texts import shortened

MAX_TEXTS = 50_000
_MAX_VOCABULARY = 2**20
_MAX_TEXT_BYTES = 2**16


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


def byte_pair_vocabulary(
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


def check_vocabulary_size(size: Any) -> int:
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
    sample = []
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
