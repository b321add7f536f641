"""Quality metrics against references: BLEU, chrF and exact match.

All are metrics as `text_metrics.py` has them: they take a list of strings, and
for each of them a list of acceptable references, return a percentage, and
raise a ValueError if the lists are empty, their lengths differ, or a row has
no reference.
"""

import collections
import itertools
from collections.abc import Sequence

import sacrebleu

from keras_irl.metrics.text_metrics import mean_over_texts
from keras_irl.metrics.text_metrics import sum_over_texts
from keras_irl.metrics.text_metrics import word_metric
from keras_irl.metrics.word_tokenizers import check_tokenizer
from keras_irl.metrics.word_tokenizers import warn_of_unspaced

_PARTS = 2**20


def _bleu_of_counts(sums):
    """BLEU of matches and n-grams of four orders, and two lengths."""
    # Of texts that count in part, there are parts of n-grams. Of lengths, which
    # have to be whole, only the ratio matters.
    counts = [float(number) for number in sums]
    lengths = [round(_PARTS * number) for number in counts[8:]]
    score = sacrebleu.BLEU.compute_bleu(
        counts[:4], counts[4:8], *lengths, smooth_method="exp"
    ).score
    return min(score, 100.0)  # Of perfect responses it is 100 + 4e-14.


@word_metric(_bleu_of_counts)
def bleu(
    responses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> list[tuple[int, ...]]:
    """Computes multi-reference BLEU over a corpus.

    BLEU of SacreBLEU with its defaults: 4-grams of `13a` tokens, case kept,
    exponential smoothing. Each n-gram may match any reference of its row, and
    the length of the closest reference counts. Rows may have different
    numbers of references. Where no response has four tokens, BLEU is 0.

    Scripts without spaces need another tokenizer than `"13a"`: call it with
    `tokenize="zh"`, see `keras_irl.metrics.word_tokenizers`.

    Example:
    >>> round(bleu(["a b c d e"], [["x", "a b c d e"]]), 6)
    100.0

    References:
        - [Papineni et al., 2002](https://aclanthology.org/P02-1040/)
        - [Post, 2018](https://aclanthology.org/W18-6319/)
    """
    check_tokenizer(tokenize)
    warn_of_unspaced(itertools.chain(responses, *references), tokenize)
    # The order changes the score of a sentence, which is not used here, and
    # not its counts.
    counter = sacrebleu.BLEU(effective_order=True, tokenize=tokenize)
    scores = map(counter.sentence_score, responses, map(list, references))
    return [(*s.counts, *s.totals, s.sys_len, s.ref_len) for s in scores]


def _chrf_of_counts(sums):
    """F₂ of the mean precision and recall of the orders that both sides have.

    The counts are, order by order, those of the responses, of the references
    and of what they share.
    """
    orders = [sums[i : i + 3] for i in range(0, len(sums), 3)]
    # As SacreBLEU adds them up, so that not even the last digit differs.
    orders = [counts for counts in orders if counts[0] > 0 and counts[1] > 0]
    if not orders:
        return 0.0
    num_orders = len(orders)
    precision = sum(shared / n for n, _, shared in orders) / num_orders
    recall = sum(shared / n for _, n, shared in orders) / num_orders
    if not precision + recall:
        return 0.0
    return float(100 * (5 * precision * recall / (4 * precision + recall)))


@sum_over_texts(_chrf_of_counts)
def chrf(
    responses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[Sequence[int]]:
    """Computes chrF, the F₂ score of character 6-grams, over a corpus.

    That of SacreBLEU with its defaults: n-grams of 1 to 6 characters, without
    spaces, case kept, counted over all responses. Of the references of a row,
    the one that scores best counts.

    Example:
    >>> chrf(["a b c", "d"], [["ab c"], ["e", "d"]])
    100.0

    References:
        - [Popović, 2015](https://aclanthology.org/W15-3049/)
    """
    return [
        max(
            (_shared_counts(ngrams, _character_ngrams(t)) for t in texts),
            key=_chrf_of_counts,
        )
        for ngrams, texts in zip(
            map(_character_ngrams, responses), references, strict=True
        )
    ]


def _character_ngrams(text):
    text = "".join(text.split())
    return [
        collections.Counter(
            text[i : i + order] for i in range(len(text) - order + 1)
        )
        for order in range(1, 7)
    ]


def _shared_counts(response, reference):
    counts = []
    for found, wanted in zip(response, reference, strict=True):
        # Of an order that the reference lacks, nothing is counted.
        number = found.total() if wanted else 0
        counts += number, wanted.total(), (found & wanted).total()
    return counts


@mean_over_texts
def exact_match(
    responses: Sequence[str], references: Sequence[Sequence[str]]
) -> list[float]:
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


def words(text: str) -> str:
    """Spaces the words of a text by single blanks."""
    return " ".join(text.split())
