"""ROUGE: n-grams and subsequences shared with references.

Metrics as those of `quality.py`.
"""

import itertools
import re
import warnings
from collections.abc import Sequence

from rouge_score import tokenizers as rouge_tokenizers
from rouge_score.rouge_scorer import RougeScorer

from keras_irl.metrics.text_metrics import word_metric
from keras_irl.metrics.word_tokenizers import DEFAULT
from keras_irl.metrics.word_tokenizers import splitter
from keras_irl.metrics.word_tokenizers import warn_of_unspaced


@word_metric()
def rouge_1(
    responses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> list[float]:
    """Computes ROUGE-1, the mean F₁ score of single words.

    Words are runs of `a` to `z` and digits, in lower case and not stemmed, as
    `rouge-score` has it: this is for English only, and a text without such
    letters has no word. For others, call it with a tokenizer that is not
    `"13a"`, such as `tokenize="intl"` or `"zh"`: its words count, in lower
    case. Of the references of a row, the one that scores best counts.

    Example:
    >>> rouge_1(["a cat", "dogs"], [["The cat."], ["a dog", "Dogs!"]])
    75.0

    References:
        - [Lin, 2004](https://aclanthology.org/W04-1013/)
    """
    return _f1("rouge1", responses, references, tokenize)


@word_metric()
def rouge_2(
    responses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> list[float]:
    """Computes ROUGE-2, the mean F₁ score of pairs of words; see `rouge_1`.

    Example:
    >>> rouge_2(["a small cat"], [["a small dog"]])
    50.0
    """
    return _f1("rouge2", responses, references, tokenize)


@word_metric()
def rouge_lsum(
    responses: Sequence[str], references: Sequence[Sequence[str]], tokenize: str
) -> list[float]:
    """Computes ROUGE-Lsum, the mean F₁ score of common subsequences.

    Each sentence of a reference is compared with every one of the response,
    and the words of the longest common subsequences are united. Words are
    those of `rouge_1`. Of texts of one sentence this is ROUGE-L.

    Sentences are the lines of a text. A text of one line is split after `.`,
    `!` or `?` where a space follows, with quotes or brackets that close
    between them, and after `。`, `！` or `？`. Responses and references are
    split alike.

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
    return _f1("rougeLsum", responses, references, tokenize)


_END_OF_SENTENCE = re.compile(
    r"""([.!?]["'”’)\]]*)\s+|([。！？]["'”’)\]」』）]*)\s*"""
)


def _by_lines(text):
    """Puts each sentence on a line, unless a text has lines."""
    text = text.strip()
    if "\n" in text:
        return text
    return _END_OF_SENTENCE.sub(_with_line_end, text)


def _with_line_end(found):
    return f"{found[1] or found[2]}\n"


ROUGE = {"rouge_1": rouge_1, "rouge_2": rouge_2, "rouge_lsum": rouge_lsum}


class _Words(rouge_tokenizers.Tokenizer):
    """The words of one of sacrebleu's tokenizers, in lower case."""

    def __init__(self, tokenize):
        self._split = splitter(tokenize)

    def tokenize(self, text):
        return self._split(text.lower())


def _f1(kind, responses, references, tokenize):
    texts = list(itertools.chain(responses, *references))
    if tokenize == DEFAULT:
        _warn_of_other_letters("".join(texts))
        scorer = RougeScorer([kind])
    else:
        warn_of_unspaced(texts, tokenize)
        scorer = RougeScorer([kind], tokenizer=_Words(tokenize))
    return [
        100.0 * scorer.score_multi(list(texts), response)[kind].fmeasure
        for response, texts in zip(responses, references, strict=True)
    ]


def _warn_of_other_letters(text):
    letters = [c for c in text if c.isalpha()]
    if 2 * sum(map(str.isascii, letters)) < len(letters):
        warnings.warn(
            "ROUGE counts words of the letters a to z, and these texts have "
            'mostly others: choose a tokenizer, such as `tokenize="intl"`, or '
            '"zh", "ja-mecab" or "char" where no spaces separate words. '
            f"Received: tokenize={DEFAULT!r}",
            stacklevel=5,
        )
