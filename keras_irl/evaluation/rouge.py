"""ROUGE: how many words a summary shares with its references.

Metrics as those of `quality.py`.
"""

import re

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
    and the words of the longest common subsequences are united. Words are
    those of `rouge_1`. Of texts of one sentence this is ROUGE-L.

    Sentences are the lines of a text. A text of one line is split after `.`,
    `!` or `?` where a space follows, with quotes or brackets that close
    between them. Responses and references are split alike.

    Departures from the paper:
        - Published evaluations split by `nltk`'s punkt, whose data would have
          to be downloaded. It knows abbreviations, such as "Mr. X", after
          which this rule splits.

    Example:
    >>> rouge_lsum(["c d. a b."], [["a b. c d."]])
    100.0
    """
    responses = list(map(_by_lines, responses))
    references = [list(map(_by_lines, texts)) for texts in references]
    return _f1("rougeLsum", responses, references)


_END_OF_SENTENCE = re.compile(r"""([.!?]["'”’)\]]*)\s+""")


def _by_lines(text):
    """Puts each sentence on a line, unless a text has lines."""
    text = text.strip()
    return text if "\n" in text else _END_OF_SENTENCE.sub(r"\1\n", text)


ROUGE = {"rouge_1": rouge_1, "rouge_2": rouge_2, "rouge_lsum": rouge_lsum}


def _f1(kind, responses, references):
    scorer = RougeScorer([kind])
    return [
        100.0 * scorer.score_multi(list(texts), response)[kind].fmeasure
        for response, texts in zip(responses, references, strict=True)
    ]
