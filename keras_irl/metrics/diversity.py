"""Diversity metrics: Self-BLEU and distinct-n."""

import itertools
import statistics
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from typing import Any

import numpy as np

from keras_irl.arguments import check_integer
from keras_irl.columns import column_of_lists
from keras_irl.error_texts import shortened
from keras_irl.metrics.word_tokenizers import DEFAULT
from keras_irl.metrics.word_tokenizers import splitter
from keras_irl.metrics.word_tokenizers import warn_of_unspaced

_MAX_ORDER = 4
# Longer n-grams hardly occur, and each order takes its time.
_LARGEST_ORDER = 100
# What a precision without a single match counts as: nltk's default ε.
_EPSILON = 0.1
# Prompts whose n-grams are counted together: arrays that fit into caches.
_NUM_AT_ONCE = 64


def self_bleu(
    samples_per_prompt: Sequence[Sequence[str]],
    max_order: int = _MAX_ORDER,
    tokenize: str = DEFAULT,
) -> float:
    """Computes Self-BLEU: how alike the responses to the same prompt are.

    Each sample is scored by BLEU as a hypothesis, with all other samples of
    its prompt as references. The mean is taken over the samples of a prompt,
    then over prompts: 100 says that all samples of a prompt are the same; the
    lower, the more diverse. With pₙ the clipped n-gram precision, c the
    length of a sample and r the closest length among the others,

        BLEU = min(1, exp(1 − r / c)) · (p₁ ⋯ p_N)^(1/N)

    This is nltk's `sentence_bleu` with smoothing method 1: where no n-gram of
    an order n > 1 matches, its count is taken as 0.1. Without any matching
    token the BLEU is 0. Tokens are those of sacrebleu's tokenization 13a, so
    that Self-BLEU and corpus BLEU count the same words; scripts without spaces
    need another, or equal samples are not found to be so.

    Samples of fewer than `max_order` tokens miss the long n-grams, and so score
    below 100 even against themselves; an empty sample scores 0. Read
    Self-BLEU beside quality: garbage is diverse too.

    Args:
        samples_per_prompt: For each prompt, a list of at least two strings.
        max_order: The longest n-gram counted, N, at most 100. Defaults to 4.
        tokenize: What separates words, see
            `keras_irl.metrics.word_tokenizers`. Defaults to `"13a"`.

    Returns:
        A float in percent, `[0, 100]`.

    Raises:
        ValueError: If there are no prompts, a prompt has fewer than two
            samples, `max_order` is out of its range, or there is no such
            tokenizer.

    Example:
    >>> same = ["the cat sat on the mat", "the cat sat on the mat"]
    >>> differ = ["the cat sat on the mat", "a dog ran to my house"]
    >>> round(self_bleu([same]), 1), round(self_bleu([differ]), 1)
    (100.0, 0.0)

    References:
        - [Zhu et al., 2018](https://arxiv.org/abs/1802.01886): Self-BLEU.
        - [Papineni et al., 2002](https://aclanthology.org/P02-1040): BLEU.
        - [Chen and Cherry, 2014](https://aclanthology.org/W14-3346):
          smoothing method 1.

    Departures from the paper:
        - Its references are all other texts of a model. Here they answer the
          same prompt, so that prompts that differ do not count as diversity.
    """
    scores = prompt_self_bleu(samples_per_prompt, max_order, tokenize)
    return 100.0 * statistics.fmean(scores)


def prompt_self_bleu(
    samples_per_prompt: Sequence[Sequence[str]],
    max_order: int = _MAX_ORDER,
    tokenize: str = DEFAULT,
) -> Iterator[float]:
    """Computes the `self_bleu` of each prompt, as a share, one by one."""
    max_order = check_integer("max_order", max_order, 1, _LARGEST_ORDER)
    words = splitter(tokenize)
    samples_per_prompt = _require_samples(samples_per_prompt)
    for row, samples in enumerate(samples_per_prompt):
        if len(samples) < 2:
            raise ValueError(
                "Self-BLEU compares the samples of a prompt with each other, "
                "and is undefined for fewer than two. Draw more samples. "
                f"Received: samples_per_prompt[{row}]={shortened(samples)}"
            )
    warn_of_unspaced(itertools.chain(*samples_per_prompt), tokenize)
    # A few at a time, so that their progress can be shown.
    return (
        statistics.fmean(scores)
        for start in range(0, len(samples_per_prompt), _NUM_AT_ONCE)
        for scores in _bleu_of_each(
            [
                list(map(words, samples))
                for samples in samples_per_prompt[start : start + _NUM_AT_ONCE]
            ],
            max_order,
        )
    )


def distinct_n(
    samples_per_prompt: Sequence[Sequence[str]],
    n: int = 2,
    tokenize: str = DEFAULT,
) -> float:
    """Computes the share of different n-grams among all n-grams of a prompt.

    The n-grams of all samples of a prompt are pooled; the mean is taken over
    prompts. The share falls with the length and number of samples, so compare
    only sweeps with as many. A prompt with no n-gram at all counts as 0.

    Args:
        samples_per_prompt: For each prompt, a list of strings.
        n: Tokens of an n-gram, at most 100. Defaults to 2.
        tokenize: See `self_bleu`. Defaults to `"13a"`.

    Returns:
        A float in percent, `[0, 100]`: 100 if no n-gram occurs twice.

    Raises:
        ValueError: If there are no prompts or samples, `n` is out of its
            range, or there is no such tokenizer.

    Example:
    >>> distinct_n([["a b a b", "a b"]], n=2)
    50.0

    References:
        - [Li et al., 2016](https://arxiv.org/abs/1510.03055)
    """
    n = check_integer("n", n, 1, _LARGEST_ORDER)
    words = splitter(tokenize)
    samples_per_prompt = _require_samples(samples_per_prompt)
    warn_of_unspaced(itertools.chain(*samples_per_prompt), tokenize)
    shares = []
    for samples in samples_per_prompt:
        ngrams = [ngram for s in samples for ngram in _ngrams(words(s), n)]
        shares.append(len(set(ngrams)) / max(1, len(ngrams)))
    return 100.0 * statistics.fmean(shares)


def diversity_note(num_samples: Set[int], tokenize: str = DEFAULT) -> str:
    """Explains `self_bleu` and `distinct_n` to readers of a table.

    Args:
        num_samples: Set of the numbers of samples that prompts had.
        tokenize: What separated words. Defaults to `"13a"`.

    Returns:
        A sentence or two.

    Example:
    >>> diversity_note({8})[:31]
    'Diversity of 8 samples a prompt'
    """
    numbers = " or ".join(map(str, sorted(num_samples)))
    return (
        f"Diversity of {numbers} samples a prompt, in tokens of sacrebleu's "
        f"{tokenize}: Self-BLEU counts n-grams of 1 to {_MAX_ORDER} tokens, "
        "with all other samples of the prompt as references, smoothed by "
        "nltk's method 1; distinct-n is the share of different n-grams among "
        "those of all samples of a prompt."
    )


def tokenizer_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The word tokenizer of rows that are compared.

    Args:
        rows: Rows of `sweep`; those of old have no tokenizer but `"13a"`.

    Returns:
        The name of the tokenizer.

    Raises:
        ValueError: If they differ, so that nothing can be compared.
    """
    names = {row.get("tokenize", DEFAULT) for row in rows}
    if len(names) > 1:
        raise ValueError(
            "Numbers of words that different tokenizers separated can't be "
            "compared; judge all policies with one. "
            f"Received: tokenize={', '.join(sorted(names))}"
        )
    return names.pop() if names else DEFAULT


def _ngrams(tokens, order):
    return zip(*(tokens[i:] for i in range(order)), strict=False)


def _bleu_of_each(prompts, max_order):
    """BLEU of each sample of some prompts against the others of its prompt.

    Args:
        prompts: For each prompt, a list of samples, which are lists of words.
        max_order: The longest n-gram counted.

    Returns:
        For each prompt, a list of floats.
    """
    sizes = [len(samples) for samples in prompts]
    owners = np.repeat(np.arange(len(prompts)), sizes)
    samples = list(itertools.chain.from_iterable(prompts))
    lengths = np.array([len(words) for words in samples])
    log_precisions = np.zeros(len(samples))
    for order, matches in enumerate(_matches(samples, owners, max_order)):
        if order == 0:
            is_zero = matches == 0
        counted = np.where(matches == 0, _EPSILON, matches)
        log_precisions += np.log(counted / np.maximum(1, lengths - order))
    closest = _closest_lengths(lengths, owners)
    penalties = np.exp(1.0 - closest / np.maximum(1, lengths))
    scores = np.minimum(1.0, penalties) * np.exp(log_precisions / max_order)
    ends = np.cumsum(sizes)[:-1]
    return [x.tolist() for x in np.split(np.where(is_zero, 0, scores), ends)]


def _matches(samples, owners, max_order):
    """Clipped matches of each sample, for n-grams of 1, then 2 words, ..."""
    numbers = {}
    words = np.array(
        [
            numbers.setdefault(word, len(numbers))
            for word in itertools.chain.from_iterable(samples)
        ],
        "int64",
    )
    rows = np.repeat(np.arange(len(samples)), [len(s) for s in samples])
    # The words of each prompt are its own, and so are all its n-grams.
    ngrams = owners[rows] * len(numbers) + words
    for order in range(max_order):
        if order:
            # Each n-gram as its beginning, numbered densely, and a last word.
            ngrams = ngrams[:-1] * len(numbers) + words[order:]
            is_whole = rows[: len(ngrams)] == rows[order:]
        else:
            is_whole = np.ones(len(ngrams), bool)
        ngrams = np.unique(ngrams, return_inverse=True)[1]
        yield _clipped_matches(
            ngrams[is_whole], rows[: len(ngrams)][is_whole], len(samples)
        )


def _clipped_matches(ngrams, rows, num_rows):
    """For each row, how many of its n-grams the best of the others has too.

    The largest count among the others is the largest of all, or the second
    largest for the one row that holds the largest itself.
    """
    if not len(ngrams):
        return np.zeros(num_rows, "int64")
    pairs, counts = np.unique(ngrams * num_rows + rows, return_counts=True)
    ngrams, rows = np.divmod(pairs, num_rows)
    is_start = np.diff(ngrams, prepend=-1) != 0
    starts, groups = np.flatnonzero(is_start), np.cumsum(is_start) - 1
    largest = np.maximum.reduceat(counts, starts)[groups]
    is_largest = counts == largest
    others = np.where(is_largest, 0, counts)
    second = np.maximum.reduceat(others, starts)[groups]
    is_alone = np.add.reduceat(is_largest, starts, dtype="int64")[groups] == 1
    limits = np.where(is_largest & is_alone, second, largest)
    matches = np.minimum(counts, limits)
    return np.bincount(rows, matches, num_rows).astype("int64")


def _closest_lengths(lengths, owners):
    """The length among the others of a prompt that is nearest, or shorter."""
    order = np.lexsort((lengths, owners))
    ordered, owners = lengths[order], owners[order]
    gaps = np.diff(ordered).astype("float64")
    gaps[owners[1:] != owners[:-1]] = np.inf
    before = np.concatenate([[np.inf], gaps])
    after = np.concatenate([gaps, [np.inf]])
    closest = np.empty(len(lengths))
    closest[order] = ordered + np.where(before <= after, -before, after)
    return closest


def _require_samples(samples_per_prompt):
    """The samples of each prompt as a list of lists."""
    found = column_of_lists(
        "samples_per_prompt",
        samples_per_prompt,
        meaning="For each prompt, pass the list of its samples.",
    )
    if not found:
        raise ValueError(
            "Diversity is undefined without a prompt: pass, for each prompt, "
            "the list of its samples. "
            f"Received: samples_per_prompt={shortened(samples_per_prompt)}"
        )
    for row, samples in enumerate(found):
        if not samples or not all(isinstance(text, str) for text in samples):
            raise ValueError(
                "For each prompt, pass the list of its samples, such as "
                '[["one answer", "another"]]. '
                f"Received: samples_per_prompt[{row}]={shortened(samples)}"
            )
    return found
