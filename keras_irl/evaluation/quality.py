"""How good responses are, judged against references.

All are metrics as `text_metrics.py` has them: they take a list of strings, and
for each of them a list of acceptable references, return a percentage, and
raise a ValueError if the lists are empty, their lengths differ, or a row has
no reference.
"""

import itertools

import sacrebleu

from keras_irl.evaluation.text_metrics import check_references
from keras_irl.evaluation.text_metrics import mean_over_texts
from keras_irl.evaluation.text_metrics import sum_over_texts


def _bleu_of_counts(sums):
    """BLEU of matches and n-grams of four orders, and two lengths."""
    counts = [int(number) for number in sums]
    score = sacrebleu.BLEU.compute_bleu(
        counts[:4], counts[4:8], *counts[8:], smooth_method="exp"
    ).score
    return min(score, 100.0)  # Of perfect responses it is 100 + 4e-14.


@sum_over_texts(_bleu_of_counts)
def bleu(responses, references):
    """Computes multi-reference BLEU over a corpus.

    BLEU of SacreBLEU with its defaults: 4-grams of `13a` tokens, case kept,
    exponential smoothing. Each n-gram may match any reference of its row, and
    the length of the closest reference counts. Rows may have different
    numbers of references. Where no response has four tokens, BLEU is 0.

    Example:
    >>> round(bleu(["a b c d e"], [["x", "a b c d e"]]), 6)
    100.0

    References:
        - [Papineni et al., 2002](https://aclanthology.org/P02-1040/)
        - [Post, 2018](https://aclanthology.org/W18-6319/)
    """
    # The order changes the score of a sentence, which is not used here, and
    # not its counts.
    counter = sacrebleu.BLEU(effective_order=True)
    scores = map(counter.sentence_score, responses, map(list, references))
    return [(*s.counts, *s.totals, s.sys_len, s.ref_len) for s in scores]


def chrf(responses, references):
    """Computes chrF, the F₂ score of character 6-grams, over a corpus.

    Of the references of a row, the one that scores best counts.

    References:
        - [Popović, 2015](https://aclanthology.org/W15-3049/)
    """
    check_references(responses, references)
    # One stream a reference. Only `None` pads: an empty string would be a
    # reference too.
    streams = list(map(list, itertools.zip_longest(*references)))
    return sacrebleu.corpus_chrf(list(responses), streams).score


@mean_over_texts
def exact_match(responses, references):
    """Percentage of responses that equal one of their references.

    Only how words are spaced makes no difference.

    Example:
    >>> exact_match(["a  b", "b"], [["b", "a b"], ["c"]])
    50.0
    """
    return [
        100.0 * (words(response) in map(words, texts))
        for response, texts in zip(responses, references, strict=True)
    ]


def words(text):
    """Spaces the words of a text by single blanks."""
    return " ".join(text.split())
