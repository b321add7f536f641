"""The sequence lengths that a policy needs for the texts of a task."""

import argparse
from typing import Any

import numpy as np

from keras_irl.cli.fine_tuning import adapt
from keras_irl.cli.splits import spread_pairs
from keras_irl.families.family import layout_of
from keras_irl.models import load_policy

# What the tokenizer of a scratch policy and the lengths are learned from.
_NUM_MEASURED = 20_000
_CHUNK = 1_000


class SequenceLengths:
    """The lengths of packed sequences, from the longest texts of a task.

    Args:
        options: What `parse_arguments` returns.
        train_pairs: Tuple of prompts and responses.
        *test_pairs: Others that should fit.

    Attributes:
        max_prompt_length: Of an encoder's prompt, in tokens.
        max_length: Of a response in tokens; for a `CausalLM`, with its prompt.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        train_pairs: tuple[Any, ...],
        *test_pairs: Any,
    ) -> None:
        self._options = options
        self.preset = options.preset
        self.texts = [
            text
            for texts in spread_pairs(train_pairs, _NUM_MEASURED)
            for text in texts
        ]
        policy = load_policy(self.preset, self.texts)
        lengths = [
            _lengths(policy, spread_pairs(pairs, _NUM_MEASURED))
            for pairs in (train_pairs, *test_pairs)
        ]
        longest_prompt, longest = np.max(np.concatenate(lengths), axis=0)
        self.max_prompt_length = int(
            options.max_prompt_length or longest_prompt
        )
        self.max_length = int(options.max_length or longest)

    def load_policy(self, seed: int) -> Any:
        """Loads the policy as it is before training, with these lengths."""
        policy = load_policy(
            self.preset,
            self.texts,
            self.max_prompt_length,
            self.max_length,
            seed=seed,
            dtype=self._options.dtype,
        )
        adapt(policy, self._options, seed)
        return policy


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
