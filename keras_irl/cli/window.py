"""Sequence lengths and the number of texts that a command uses."""

import numpy as np

from keras_irl.families.family import layout_of
from keras_irl.models import load_policy

# What the tokenizer of a scratch policy and the lengths are learned from.
_NUM_MEASURED = 20_000
_CHUNK = 1_000


class Window:
    """The lengths of the arrays, from the longest texts of the task.

    Args:
        options: What `parse_arguments` returns.
        train_pairs: Tuple of prompts and responses.
        *test_pairs: Others that should fit.

    Attributes:
        max_prompt_length: Of an encoder's prompt, in tokens.
        max_length: Of a response in tokens; for a decoder, with its prompt.
    """

    def __init__(self, options, train_pairs, *test_pairs):
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

    def load_policy(self, seed):
        """Loads the policy in its initial state, with these lengths."""
        return load_policy(
            self.preset,
            self.texts,
            self.max_prompt_length,
            self.max_length,
            seed,
        )


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


def first_rows(columns, num_rows):
    """The first rows of aligned columns, or all for `None`."""
    if num_rows is None or num_rows >= len(columns[0]):
        return columns
    return tuple([column[i] for i in range(num_rows)] for column in columns)


def spread_pairs(pairs, num_pairs):
    """At most so many pairs, evenly spread over all of them."""
    size = len(pairs[0])
    rows = np.linspace(0, size - 1, min(size, num_pairs)).round().astype(int)
    return tuple([column[int(row)] for row in rows] for column in pairs)
