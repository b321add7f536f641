"""How good responses are, judged against references.

A metric takes `(responses, references)`: a list of strings, and for each of
them a list of acceptable references. It returns a percentage.
"""

import itertools

import sacrebleu


def bleu(responses, references):
    """Computes multi-reference BLEU over a corpus.

    BLEU of SacreBLEU with its defaults: 4-grams of `13a` tokens, case kept,
    exponential smoothing. Each n-gram may match any reference of its row, and
    the length of the closest reference counts. Rows may have different
    numbers of references. Where no response has four tokens, BLEU is 0.

    Args:
        responses: List of strings.
        references: List of lists of strings, the references of each response.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty, their lengths differ, or a row has
            no reference.

    Example:
    >>> round(bleu(["a b c d e"], [["x", "a b c d e"]]), 6)
    100.0

    References:
        - [Papineni et al., 2002](https://aclanthology.org/P02-1040/)
        - [Post, 2018](https://aclanthology.org/W18-6319/)
    """
    streams = _streams(responses, references)
    # Texts that are tokenized already are no mistake here: `force` only
    # silences the warning about them.
    score = sacrebleu.corpus_bleu(list(responses), streams, force=True).score
    return min(score, 100.0)  # Of perfect responses it is 100 + 4e-14.


def chrf(responses, references):
    """Computes chrF, the F₂ score of character 6-grams, over a corpus.

    Of the references of a row, the one that scores best counts.

    Args:
        responses: List of strings.
        references: List of lists of strings, the references of each response.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty, their lengths differ, or a row has
            no reference.

    References:
        - [Popović, 2015](https://aclanthology.org/W15-3049/)
    """
    streams = _streams(responses, references)
    return sacrebleu.corpus_chrf(list(responses), streams).score


def exact_match(responses, references):
    """Percentage of responses that equal one of their references.

    Only how words are spaced makes no difference.

    Args:
        responses: List of strings.
        references: List of lists of strings, the references of each response.

    Returns:
        Float in `[0, 100]`.

    Raises:
        ValueError: If the lists are empty, their lengths differ, or a row has
            no reference.

    Example:
    >>> exact_match(["a  b", "b"], [["b", "a b"], ["c"]])
    50.0
    """
    check_references(responses, references)
    matches = [
        words(response) in map(words, texts)
        for response, texts in zip(responses, references, strict=True)
    ]
    return 100.0 * sum(matches) / len(matches)


def words(text):
    """Spaces the words of a text by single blanks."""
    return " ".join(text.split())


def check_references(responses, references):
    """Checks that each response is a string with references to judge it by.

    Args:
        responses: List of strings.
        references: List of lists of strings.

    Raises:
        ValueError: If the lists are empty, their lengths differ, a row has no
            reference, or something is not a string.
    """
    if len(responses) != len(references) or not len(responses):
        raise ValueError(
            "Each response needs a row of references, and there must be at "
            "least one. Received: "
            f"len(responses)={len(responses)}, "
            f"len(references)={len(references)}"
        )
    for row, (response, texts) in enumerate(
        zip(responses, references, strict=True)
    ):
        if not isinstance(response, str):
            raise ValueError(
                "Responses are strings. Received: "
                f"responses[{row}]={response!r}"
            )
        if not _is_list_of_strings(texts):
            raise ValueError(
                "The references of a response are a list of at least one "
                f"string. Received: references[{row}]={texts!r}"
            )


def _is_list_of_strings(texts):
    return (
        isinstance(texts, list | tuple)
        and len(texts) > 0
        and all(isinstance(text, str) for text in texts)
    )


def _streams(responses, references):
    """References as SacreBLEU wants them: one stream a reference, padded.

    Only `None` pads: an empty string would be a reference of length zero, and
    as the closest in length it would waive the penalty for brevity.
    """
    check_references(responses, references)
    return list(map(list, itertools.zip_longest(*references)))
