"""Diagnosis of texts: masks, end tokens, and unknown tokens."""

import re
import unicodedata
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

import keras_hub
import numpy as np

from keras_irl.diagnosis.policy_checks import error
from keras_irl.diagnosis.policy_checks import warning
from keras_irl.families.positions import num_positions
from keras_irl.types import Policy

if TYPE_CHECKING:
    from keras_irl.data.batches import Batch
    from keras_irl.data.batches import Counts
    from keras_irl.data.dataset import Demonstrations
    from keras_irl.diagnosis.policy_checks import Issue

_NUM_SHOWN = 8
_NUM_WORDS = 5000
# Nothing that a reader misses: formats, spaces and controls.
_UNSEEN = ("Cf", "Cc", "Zs", "Zl", "Zp")
# What separates lines and cells is missed.
_SEPARATORS = "\n\t"


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


def unknown_token_id(tokenizer: keras_hub.tokenizers.Tokenizer) -> int | None:
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


def unknown_issues(
    policy: Policy,
    batches: "Sequence[Batch]",
    demonstrations: "Demonstrations | None",
    num_texts: int,
) -> "Iterator[Issue]":
    """Finds tokens and characters that the policy's tokenizer does not know.

    Args:
        policy: The language model that is trained.
        batches: A list of `Batch`.
        demonstrations: The `Demonstrations` that they are of, or `None`.
        num_texts: The number of texts to look at, where these are known; they
            are taken from all over the data.

    Yields:
        `Issue`s.
    """
    if policy.preprocessor is None:
        return
    tokenizer = policy.preprocessor.tokenizer
    if demonstrations is None or demonstrations.texts is None:
        found = _in_batches(batches, unknown_token_id(tokenizer))
    else:
        sides = demonstrations.texts(num_texts=num_texts)
        found = {
            "prompts": unknown_in(tokenizer, sides[0]),
            "responses": unknown_in(tokenizer, sides[1], num_ends=1),
        }
    for name, unknown in found.items():
        yield from _describe(name, unknown, tokenizer)


def unknown_in(
    tokenizer: keras_hub.tokenizers.Tokenizer,
    texts: Sequence[str],
    num_ends: int = 0,
) -> Unknown:
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
    """Issues that ids alone show, by side."""
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
    if letter in _SEPARATORS:
        return False
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


_MANY = 0.5  # Of all texts.


def text_issues(
    policy: Policy,
    batches: "Sequence[Batch]",
    counts: "Counts",
    is_made_here: bool,
) -> "Iterator[Issue]":
    """Finds faults of masks, padding and end tokens.

    Args:
        policy: The language model that is trained.
        batches: A list of `Batch`.
        counts: Their `Counts`.
        is_made_here: Whether `demonstrations()` made the batches, which trains
            no prompt and pads the last batch with rows that are not trained.

    Yields:
        `Issue`s.
    """
    yield from _placement(batches)
    if not counts.num_trained:
        yield error(
            "nothing-trained",
            "No token is trained: the mask is 0 everywhere, and the loss NaN.",
            "Set the mask to 1 on the tokens of the responses.",
        )
        return
    if counts.empty_batches:
        yield warning(
            "empty-batches",
            f"{len(counts.empty_batches)} of {counts.num_batches} batches "
            f"train no token (the first is {counts.empty_batches[0]}): their "
            "loss is NaN.",
            "Leave out texts without a response, or shuffle.",
        )
    if counts.num_untrained and not is_made_here:
        yield warning(
            "untrained-texts",
            f"{counts.num_untrained} of {counts.num_texts} texts have no "
            "token that is trained.",
            "Leave them out: they take time and teach nothing.",
        )
    if counts.end_ids:
        yield from _ends(policy, counts)
    yield from _cuts(counts)
    if not is_made_here:
        yield from _prompts(batches, counts)


def vocabulary_issues(
    batches: "Sequence[Batch]", policy: Policy
) -> "Iterator[Issue]":
    """Finds token ids and lengths that a policy can't read.

    Args:
        batches: A list of `Batch`.
        policy: The language model that is trained.

    Yields:
        `Issue`s.
    """
    size = policy.output.shape[-1]
    for name in ("actions", "token_ids", "prompt_ids"):
        outside = [
            int(token)
            for array in _columns(batches, name)
            for token in array[(array < 0) | (array >= size)]
        ]
        if outside:
            yield error(
                "ids-outside-the-vocabulary",
                f"{len(outside)} of the {name} are no tokens of this policy, "
                f"such as {outside[0]}: it knows 0 to {size - 1}. Some "
                "backends read other memory there, or zeros.",
                "Tokenize with the tokenizer of this policy, and give "
                "padding an id of its vocabulary.",
            )
    # As in `keras_irl.models.load_policy`.
    limit = num_positions(policy)
    for name in ("token_ids", "prompt_ids"):
        length = max((a.shape[1] for a in _columns(batches, name)), default=0)
        if limit is not None and length > limit:
            yield error(
                "too-long",
                f"The {name} are {length} long, and the policy has {limit} "
                "positions.",
                "Pass a smaller `max_length`, or a policy that reaches as far.",
            )


def _placement(batches):
    """Looks at what holds for every batch, whoever made it."""
    if any(_is_left_padded(b.padding_mask) for b in batches) or any(
        _is_left_padded(mask) for mask in _columns(batches, "prompt_mask")
    ):
        yield error(
            "left-padding",
            "There is padding on the left of a text. Policies of keras-hub "
            "count positions from the left, as `generate` does.",
            "Pad on the right.",
        )
    num_padding = sum(
        int(((b.mask > 0) & ~b.padding_mask).sum()) for b in batches
    )
    if num_padding:
        yield error(
            "padding-trained",
            f"{num_padding} trained tokens are taken in a state that is "
            "padding.",
            "Set the mask to 0 there, or fix the padding mask.",
        )
    shifted = sum(map(_num_not_next, batches))
    if shifted:
        yield error(
            "not-the-next-token",
            f"{shifted} trained actions are not the token that the next state "
            "shows.",
            "Actions are the tokens shifted by one: the inputs are "
            "`tokens[:, :-1]`, the actions `tokens[:, 1:]`.",
        )


def _ends(policy, counts):
    whole = counts.num_texts - counts.num_cut - counts.num_untrained
    other = None if counts.num_ended else _other_end(policy, counts)
    if other is not None:
        token = policy.preprocessor.tokenizer.id_to_token(other)
        yield warning(
            "another-end-token",
            f"All texts end with {token}, where this policy does not stop by "
            "itself.",
            f"Call `generate` with `stop_token_ids=[{other}]`, or append the "
            "policy's own end token to every response.",
        )
    elif not counts.num_ended:
        yield error(
            "no-end-token",
            "No end token is trained in any text, so the policy will not "
            "learn to stop.",
            "Raise `max_length` so that texts fit."
            if whole <= 0
            else "Append the end token to every response, and give it a mask "
            "of 1, also where its id is that of padding.",
        )
    elif counts.num_ended < (1 - _MANY) * whole:
        yield warning(
            "few-end-tokens",
            f"Only {counts.num_ended} of {whole} texts that are not marked as "
            "cut have an end token that is trained.",
            "Append the end token to every response; mark a text that is cut "
            "with `keras_irl.ops.encode_sample_weight`.",
        )


def _other_end(policy, counts):
    """The id with which all texts end, if it looks like a mark, or `None`."""
    if policy.preprocessor is None or len(counts.last_ids) != 1:
        return None
    (token,) = counts.last_ids
    tokenizer = policy.preprocessor.tokenizer
    if token not in range(tokenizer.vocabulary_size()):
        return None
    # A full stop is no mark.
    is_mark = re.fullmatch(r"<.+>|\[.+\]", tokenizer.id_to_token(token))
    return token if is_mark else None


def _cuts(counts):
    if counts.num_cut > _MANY * counts.num_texts:
        yield warning(
            "most-texts-cut",
            f"{counts.num_cut} of {counts.num_texts} texts do not fit and are "
            "cut.",
            "Pass a larger `max_length`.",
        )


def _prompts(batches, counts):
    has_decoder_alone = batches[0].prompt_ids is None
    if (
        has_decoder_alone
        and counts.num_without_prompt > _MANY * counts.num_texts
    ):
        yield warning(
            "prompt-trained",
            f"In {counts.num_without_prompt} of {counts.num_texts} texts the "
            "very first token is trained: if they begin with a prompt, it is "
            "trained too.",
            "Set the mask to 0 on prompts. `keras_irl.data.demonstrations()` "
            "does so.",
        )


def _columns(batches, name):
    columns = (batch._asdict()[name] for batch in batches)
    return [column for column in columns if column is not None]


def _is_left_padded(padding_mask):
    return bool((padding_mask[:, 1:] & ~padding_mask[:, :-1]).any())


def _num_not_next(batch):
    both = (batch.mask[:, :-1] > 0) & (batch.mask[:, 1:] > 0)
    both &= batch.segment_ids[:, :-1] == batch.segment_ids[:, 1:]
    differ = batch.actions[:, :-1] != batch.token_ids[:, 1:]
    return int((both & differ).sum())
