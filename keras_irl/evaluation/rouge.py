"""ROUGE: how many words a summary shares with its references.

Metrics as those of `quality.py`.
"""

from rouge_score.rouge_scorer import RougeScorer

from keras_irl.evaluation.text_metrics import mean_over_texts


@mean_over_texts
def rouge_1(responses, references):
    """Computes ROUGE-1, the mean F₁ score of single words.

    Words are runs of `a` to `z` and digits, in lower case and not stemmed, as
    `rouge-score` has it: this is for English only. Of the references of a row,
    the one that scores best counts.

    Example:
    >>> rouge_1(["a cat", "dogs"], [["The cat."], ["a dog", "Dogs!"]])
    75.0

    References:
        - [Lin, 2004](https://aclanthology.org/W04-1013/)
    """
    return _f1("rouge1", responses, references)


@mean_over_texts
def rouge_2(responses, references):
    """Computes ROUGE-2, the mean F₁ score of pairs of words; see `rouge_1`."""
    return _f1("rouge2", responses, references)


@mean_over_texts
def rouge_lsum(responses, references):
    """Computes ROUGE-Lsum, the mean F₁ score of common subsequences.

    Each sentence of a reference is compared with every one of the response,
    and the words of the longest common subsequences are united. Sentences are
    lines: write one on each line if they should be told apart. Of texts of one
    line this is ROUGE-L. Words are those of `rouge_1`.
    """
    return _f1("rougeLsum", responses, references)


ROUGE = {"rouge_1": rouge_1, "rouge_2": rouge_2, "rouge_lsum": rouge_lsum}


def _f1(kind, responses, references):
    scorer = RougeScorer([kind])
    return [
        100.0 * scorer.score_multi(list(texts), response)[kind].fmeasure
        for response, texts in zip(responses, references, strict=True)
    ]
