"""ROUGE: how many words a summary shares with its references."""

import statistics

from rouge_score.rouge_scorer import RougeScorer

from keras_irl.evaluation.quality import check_references


def rouge_1(responses, references):
    """Computes ROUGE-1, the mean F₁ score of single words.

    Words are runs of `a` to `z` and digits, in lower case and not stemmed, as
    `rouge-score` has it: this is for English only. Of the references of a row,
    the one that scores best counts.

    Args:
        responses: List of strings.
        references: List of lists of strings, the references of each response.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty, their lengths differ, or a row has
            no reference.

    Example:
    >>> rouge_1(["a cat", "dogs"], [["The cat."], ["a dog", "Dogs!"]])
    75.0

    References:
        - [Lin, 2004](https://aclanthology.org/W04-1013/)
    """
    return _mean_f1("rouge1", responses, references)


def rouge_2(responses, references):
    """Computes ROUGE-2, the mean F₁ score of pairs of words.

    Args:
        responses: List of strings.
        references: List of lists of strings, the references of each response.

    Returns:
        Float in `[0, 100]`; see `rouge_1`.

    Raises:
        ValueError: As `rouge_1`.
    """
    return _mean_f1("rouge2", responses, references)


def rouge_lsum(responses, references):
    """Computes ROUGE-Lsum, the mean F₁ score of common subsequences.

    Each sentence of a reference is compared with every one of the response,
    and the words of the longest common subsequences are united. Sentences are
    lines: write one on each line if they should be told apart. Of texts of one
    line this is ROUGE-L.

    Args:
        responses: List of strings.
        references: List of lists of strings, the references of each response.

    Returns:
        Float in `[0, 100]`; see `rouge_1`.

    Raises:
        ValueError: As `rouge_1`.
    """
    return _mean_f1("rougeLsum", responses, references)


ROUGE = {"rouge_1": rouge_1, "rouge_2": rouge_2, "rouge_lsum": rouge_lsum}


def _mean_f1(kind, responses, references):
    check_references(responses, references)
    scorer = RougeScorer([kind])
    return 100.0 * statistics.fmean(
        scorer.score_multi(list(texts), response)[kind].fmeasure
        for response, texts in zip(responses, references, strict=True)
    )
