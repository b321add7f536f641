"""Sequence lengths of a task's texts, and the initial policy that has them."""

import argparse
import warnings
from typing import NamedTuple

import numpy as np

from keras_irl.arguments import MAX_LENGTH
from keras_irl.arguments import ArgumentError
from keras_irl.cli.flag_values import flag_of
from keras_irl.error_texts import shortened
from keras_irl.families.family import layout_of
from keras_irl.families.positions import num_positions
from keras_irl.models import load_policy
from keras_irl.models.lora import enable_lora
from keras_irl.models.rematerialization import rematerialize
from keras_irl.models.seeding import seeded
from keras_irl.tasks.pair_table import PairColumn
from keras_irl.tasks.splits import Pairs
from keras_irl.tasks.splits import SelectedRows
from keras_irl.tasks.splits import spread_pairs
from keras_irl.tasks.splits import spread_rows
from keras_irl.types import Policy
from keras_irl.types import Tensor

# What the tokenizer of a scratch policy and the lengths are learned from.
_NUM_MEASURED = 20_000
_CHUNK = 1_000
# A text so many times as long as nearly all others is told of: batches are
# made as long as it is.
_OUTLIER = 10
_FEWEST_TOKENS = 256


class SequenceLengths:
    """The lengths of packed sequences, from the longest texts of a task.

    Args:
        options: What `parse_arguments` returns.
        train_pairs: Tuple of prompts and responses.
        *test_pairs: Others that should fit.

    Attributes:
        max_prompt_length: Of an encoder's prompt, in tokens.
        max_length: Of a response in tokens; for a `CausalLM`, with its prompt.

    Raises:
        ValueError: If a text is longer than the policy reads, and no length
            was passed to cut it to.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        train_pairs: Pairs,
        *test_pairs: Pairs,
    ) -> None:
        self._options = options
        self.preset = options.preset
        self.texts = [
            text
            for texts in spread_pairs(train_pairs, _NUM_MEASURED)
            for text in texts
        ]
        policy = load_policy(self.preset, self.texts)
        groups = (train_pairs, *test_pairs)
        lengths = [
            _lengths(policy, spread_pairs(pairs, _NUM_MEASURED))
            for pairs in groups
        ]
        measured = np.concatenate(lengths)
        most = _most_tokens(policy, self.preset)
        has_encoder = layout_of(policy).has_encoder
        found = {}
        for side, name in enumerate(("max_prompt_length", "max_length")):
            given = vars(options)[name]
            if given is None and (side == 1 or has_encoder):
                texts = _Measured(name, side, groups, lengths, has_encoder)
                _check_longest(texts, most)
            found[name] = int(given or min(most, measured[:, side].max()))
        self.max_prompt_length = found["max_prompt_length"]
        self.max_length = found["max_length"]

    def load_policy(self, seed: int) -> Policy:
        """Loads the policy as it is before training, with these lengths."""
        policy = load_policy(
            self.preset,
            self.texts,
            self.max_prompt_length,
            self.max_length,
            seed=seed,
            dtype=self._options.dtype,
        )
        _adapt(policy, self._options, seed)
        return policy


class _Measured(NamedTuple):
    """Texts whose lengths were measured.

    Attributes:
        name: The option that says how long they may be.
        side: 0 for prompts, 1 for responses.
        groups: Pairs of prompts and responses, those that are trained on first.
        lengths: For each, what `_lengths` returned.
        has_encoder: Whether prompts are read apart from responses.
    """

    name: str
    side: int
    groups: tuple[Pairs, ...]
    lengths: list[Tensor]
    has_encoder: bool

    def longest(self):
        """The longest text, with its place."""
        group = int(np.argmax([x[:, self.side].max() for x in self.lengths]))
        place = int(np.argmax(self.lengths[group][:, self.side]))
        pair = self.groups[group]
        row = int(spread_rows(len(pair[0]), _NUM_MEASURED)[place])
        side = self.side
        if not self.has_encoder:
            side = int(len(pair[1][row]) > len(pair[0][row]))
        which = ("test", "training")[group == 0]
        return _Text(_place(pair[side], row, which), pair[side][row], side)


class _Text(NamedTuple):
    """A text, where it stands, and whether it is a prompt (0) or response."""

    place: str
    text: str
    side: int


def _check_longest(measured, most):
    """Refuses a text that is too long, and tells of one that stands out."""
    tokens = np.concatenate([x[:, measured.side] for x in measured.lengths])
    longest = int(tokens.max())
    usual = int(np.percentile(tokens, 99, method="lower"))
    if longest <= most and not (
        longest > max(_FEWEST_TOKENS, _OUTLIER * usual)
    ):
        return
    found = measured.longest()
    remedy = f"{flag_of(measured.name)} {min(usual, most)}"
    if found.side:
        remedy = f"`{remedy}`, by which longer ones are cut and counted"
    else:
        remedy = f"`{remedy} --on-invalid drop`, which leaves longer ones out"
    remedy = (
        f"99 in 100 need {usual} at most. Pass {remedy}, or take the row out"
    )
    if longest > most:
        raise ArgumentError(
            f"{found.place}: the text there needs {longest} tokens, and the "
            f"policy reads {most} at most; {remedy}. "
            f"Received: {shortened(found.text)} of {len(found.text)} "
            "characters",
            measured.name,
        )
    warnings.warn(
        f"{found.place}: the text there needs {longest} tokens, and every "
        f"batch is made as long; {remedy}.",
        stacklevel=3,
    )


def _most_tokens(policy: Policy, preset: str) -> int:
    """The most tokens that a policy reads, for whatever is made for it."""
    limit = num_positions(policy)
    # A scratch policy is made with as many positions as it needs.
    is_made = "-scratch" in preset and "/" not in preset
    return MAX_LENGTH if limit is None or is_made else min(limit, MAX_LENGTH)


def _place(column, row, which):
    """The place of a text, as its owner finds it."""
    while isinstance(column, SelectedRows):
        column, row = column.column, int(column.rows[row])
    if isinstance(column, PairColumn):
        return column.place(row)
    return f"Row {row} of the {which} pairs"


def _lengths(policy, pairs):
    """Positions that prompts and texts need, in eights, `(num_pairs, 2)`."""
    tokenizer = policy.preprocessor.tokenizer
    prompts, responses = (_count_tokens(tokenizer, texts) for texts in pairs)
    if not layout_of(policy).has_encoder:
        responses = responses + prompts
    # Room for start and end tokens.
    lengths = np.stack([prompts, responses], axis=1) + 2
    return -(-lengths // 8) * 8


def _count_tokens(tokenizer, texts):
    return np.array(
        [
            len(tokens)
            for start in range(0, len(texts), _CHUNK)
            for tokens in tokenizer(list(texts[start : start + _CHUNK]))
        ]
    )


def _adapt(policy: Policy, options: argparse.Namespace, seed: int) -> None:
    """Makes of a policy what the flags ask for.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.
        options: What `parse_arguments` returns.
        seed: Seed of what is random in low-rank updates.

    Raises:
        ValueError: If it has no layers or blocks for that.
    """
    if options.lora_rank is not None:
        with seeded(seed):
            enable_lora(policy, options.lora_rank)
    if options.rematerialize:
        rematerialize(policy)
