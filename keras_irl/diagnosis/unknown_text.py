"""Diagnosis of tokenization: unknown tokens and dropped characters.

A SentencePiece or WordPiece tokenizer reads what it does not know as one
unknown token, which the policy then learns to write. A byte-pair tokenizer
without the bytes in its vocabulary leaves it out.
"""

import unicodedata
from typing import NamedTuple

import keras_hub
import numpy as np

from keras_irl.diagnosis.findings import warning

_NUM_SHOWN = 8
_NUM_WORDS = 5000
# Nothing that a reader misses: formats, spaces and controls.
_UNSEEN = ("Cf", "Cc", "Zs", "Zl", "Zp")


class Unknown(NamedTuple):
    """Tokens and characters of texts that a tokenizer does not know.

    Attributes:
        num_tokens: The number of their tokens, with an end token for each
            response.
        num_unknown: How many of these are the unknown token.
        names: What is unknown, as a reader sees it: characters, or words where
            a vocabulary has no characters. Empty where only ids are known.
        left_out: Characters that leave no token, likewise.
        share_left_out: The share of all characters that these are.
        num_nul: The number of texts with a character U+0000.
    """

    num_tokens: int
    num_unknown: int
    names: list
    left_out: list
    share_left_out: float
    num_nul: int


def unknown_token_id(tokenizer):
    """Finds the id of a tokenizer's unknown token.

    Args:
        tokenizer: A tokenizer of keras-hub.

    Returns:
        The id, or `None` where there is none.
    """
    if isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer):
        # It gives that of the unknown token for what is no piece.
        return int(tokenizer.token_to_id("\0"))
    if isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
        return int(tokenizer.token_to_id(tokenizer.oov_token))
    return None


def unknown_findings(policy, batches, demonstrations, num_texts):
    """Finds what of the texts the policy's tokenizer does not know.

    Args:
        policy: The language model that is trained.
        batches: A list of `Batch`.
        demonstrations: The `Demonstrations` that they are of, or `None`.
        num_texts: The number of texts to look at, where these are known; they
            are taken from all over the data.

    Yields:
        `Finding`s.
    """
    if policy.preprocessor is None:
        return
    tokenizer = policy.preprocessor.tokenizer
    if demonstrations is None or demonstrations.texts is None:
        found = _in_batches(batches, unknown_token_id(tokenizer))
    else:
        sides = demonstrations.texts(num_texts)
        found = {
            "prompts": unknown_in(tokenizer, sides[0]),
            "responses": unknown_in(tokenizer, sides[1], num_ends=1),
        }
    for name, unknown in found.items():
        yield from _describe(name, unknown, tokenizer)


def unknown_in(tokenizer, texts, num_ends=0):
    """Counts the tokens and characters that a tokenizer does not know.

    Args:
        tokenizer: A tokenizer of keras-hub.
        texts: A list of strings.
        num_ends: The number of tokens to count besides those of each text.
            Defaults to 0.

    Returns:
        An `Unknown`.
    """
    unknown_id = unknown_token_id(tokenizer)
    rows = _tokenize(tokenizer, texts)
    affected = [
        text
        for text, ids in zip(texts, rows, strict=True)
        if unknown_id is not None and unknown_id in ids
    ]
    letters = sorted(set().union(*texts)) if texts else []
    alone = _tokenize(tokenizer, letters)
    left_out = [
        letter
        for letter, ids in zip(letters, alone, strict=True)
        if not ids and not _is_unseen(letter)
    ]
    return Unknown(
        num_tokens=sum(map(len, rows)) + num_ends * len(texts),
        num_unknown=sum(ids.count(unknown_id) for ids in rows),
        names=_unknown_names(tokenizer, affected, unknown_id),
        left_out=[_shown(letter) for letter in left_out],
        share_left_out=sum(text.count(c) for text in texts for c in left_out)
        / max(1, sum(map(len, texts))),
        num_nul=sum("\0" in text for text in texts),
    )


def _unknown_names(tokenizer, texts, unknown_id):
    """The characters that give the unknown token, or else the words."""
    words = sorted({word for text in texts for word in text.split()})
    words = words[:_NUM_WORDS]
    is_known = [unknown_id not in ids for ids in _tokenize(tokenizer, words)]
    pairs = list(zip(words, is_known, strict=True))
    spaces = {letter for text in texts for letter in text if letter.isspace()}
    letters = sorted(
        spaces.union(*(word for word, known in pairs if not known))
    )
    alone = _tokenize(tokenizer, letters)
    # A vocabulary of words may know a letter inside of a word alone.
    fine = set().union(*(word for word, known in pairs if known))
    strange = [
        letter
        for letter, ids in zip(letters, alone, strict=True)
        if unknown_id in ids and letter not in fine
    ]
    unexplained = [
        word
        for word, known in pairs
        if not known and not set(strange).intersection(word)
    ]
    return [*map(_shown, strange), *(repr(word) for word in unexplained)]


def _in_batches(batches, unknown_id):
    """What ids tell alone, by side."""
    trained = [batch.actions[batch.mask > 0] for batch in batches]
    read = [
        batch.token_ids[batch.padding_mask & ~(batch.mask > 0)]
        if batch.prompt_ids is None
        else batch.prompt_ids[batch.prompt_mask]
        for batch in batches
    ]
    return {
        name: Unknown(
            num_tokens=sum(map(len, sides)),
            num_unknown=sum(int(np.sum(ids == unknown_id)) for ids in sides)
            if unknown_id is not None
            else 0,
            names=[],
            left_out=[],
            share_left_out=0.0,
            num_nul=0,
        )
        for name, sides in (("prompts", read), ("responses", trained))
    }


def _describe(name, unknown, tokenizer):
    if unknown.num_unknown:
        share = unknown.num_unknown / max(1, unknown.num_tokens)
        token = tokenizer.id_to_token(unknown_token_id(tokenizer))
        what = _listed(unknown.names) or "what it reads so"
        learned = " The policy learns to write it." * (name == "responses")
        count = f"{unknown.num_unknown} of {unknown.num_tokens}"
        yield warning(
            "unknown-tokens",
            f"{share:.0%} of the tokens of the {name} ({count}) are {token}: "
            f"the tokenizer does not know {what}.{learned}",
            "Take a policy whose tokenizer knows these characters, or write "
            "the texts without them.",
        )
    if unknown.left_out:
        yield warning(
            "characters-left-out",
            f"The tokenizer leaves out {unknown.share_left_out:.0%} of the "
            f"characters of the {name}, which the policy never sees: "
            f"{_listed(unknown.left_out)}.",
            "Take a policy whose tokenizer knows these characters, or write "
            "the texts without them.",
        )
    if unknown.num_nul:
        yield warning(
            "nul-characters",
            f"{unknown.num_nul} of the {name} that were looked at hold the "
            "character U+0000.",
            "Most often a file was read in another encoding than it was "
            "written in. Decode it anew, or take the character out.",
        )


def _listed(names):
    rest = len(names) - _NUM_SHOWN
    shown = ", ".join(names[:_NUM_SHOWN])
    return f"{shown} and {rest} others" if rest > 0 else shown


def _shown(letter):
    """A character as a reader sees it, or its code point."""
    is_seen = letter.isprintable() and not letter.isspace()
    if is_seen and not unicodedata.combining(letter):
        return f"'{letter}'"
    return f"U+{ord(letter):04X}"


def _is_unseen(letter):
    is_selector = unicodedata.name(letter, "").startswith("VARIATION SELECTOR")
    return is_selector or unicodedata.category(letter) in _UNSEEN


def _tokenize(tokenizer, texts):
    """Lists of ids; not all tokenizers take a list of empty texts alone."""
    rows = iter(
        tokenizer([text for text in texts if text]) if any(texts) else []
    )
    return [
        np.asarray(next(rows), "int32").tolist() if text else []
        for text in texts
    ]
