"""Word tokenizers of sacrebleu, for metrics that count words."""

import functools
import re
import warnings
from collections.abc import Callable
from collections.abc import Iterable

import sacrebleu

from keras_irl.arguments import check_choice

DEFAULT = "13a"
TOKENIZERS = ("13a", "intl", "zh", "ja-mecab", "char", "none")

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3100-\u312f\u31a0-\u31bf\u3400-\u4dbf"
_HAN += "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
# Thai, Lao, Tibetan, Burmese and Khmer; Tai, Balinese, Javanese and Yi.
_OTHERS = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19df"
_OTHERS += "\u1a20-\u1aaf\u1b00-\u1b7f\ua000-\ua4cf\ua980-\ua9df"
# Letters of a word on average, at most, where somebody has put spaces between
# words: marks above and below count in the scripts that have them.
_MEAN_LENGTH, _MEAN_LENGTH_OF_OTHERS = 3.0, 8.0
# The letters of scripts without spaces that each one leaves in one piece.
_UNSEPARATED = {
    "13a": _HAN + _KANA + _OTHERS,
    "intl": _HAN + _KANA + _OTHERS,
    "none": _HAN + _KANA + _OTHERS,
    "zh": _KANA + _OTHERS,
    "ja-mecab": _OTHERS,
}


def check_tokenizer(tokenize: str) -> str:
    """Checks the name of a tokenizer, and that it can be used here.

    Args:
        tokenize: One of `TOKENIZERS`.

    Returns:
        The name.

    Raises:
        ValueError: If there is no such tokenizer, or a package of it is
            missing.
    """
    splitter(tokenize)
    return tokenize


def splitter(tokenize: str = DEFAULT) -> Callable[[str], list[str]]:
    """Returns the word tokenizer of a name.

    | name       | words                                                       |
    |------------|-------------------------------------------------------------|
    | `13a`      | between spaces, punctuation apart, as WMT has it            |
    | `intl`     | likewise, with the punctuation and symbols of all languages |
    | `zh`       | every Chinese character, and the rest as by `13a`           |
    | `ja-mecab` | Japanese words of a dictionary                              |
    | `char`     | every character                                             |
    | `none`     | between spaces                                              |

    Args:
        tokenize: The name of a tokenizer. Defaults to `"13a"`.

    Returns:
        Function from a string to a list of strings.

    Raises:
        ValueError: See `check_tokenizer`.

    Example:
    >>> splitter("zh")("猫坐着, ok.")
    ['猫', '坐', '着', ',', 'ok', '.']
    """
    check_choice(
        "tokenize",
        tokenize,
        TOKENIZERS,
        meaning="It says what separates words.",
    )
    return _splitter(tokenize)


@functools.cache
def _splitter(tokenize):
    try:
        separate = sacrebleu.BLEU(tokenize=tokenize).tokenizer
    except (ImportError, RuntimeError) as error:
        raise ValueError(
            "Japanese words are found by the packages `mecab-python3` and "
            '`ipadic`: `pip install "sacrebleu[ja]"`. '
            f"Received: tokenize={tokenize!r}"
        ) from error
    if tokenize == "13a":
        return _splitter_by_pieces(separate)
    return lambda text: separate(text).split()


def _splitter_by_pieces(separate):
    """A splitter that looks at each piece between spaces once: 13a may."""

    @functools.lru_cache(maxsize=2**16)
    def words(piece):
        return separate(piece).split()

    def split(text):
        # A hyphen joins a word to the next line, perhaps past such a mark.
        if "-\n" in text or "<skipped>" in text:
            return separate(text).split()
        return [word for piece in text.split() for word in words(piece)]

    return split


def warn_of_unspaced(texts: Iterable[str], tokenize: str) -> None:
    """Warns of texts without spaces that a tokenizer would not separate.

    Their n-grams would be those of whole clauses, which are hardly ever equal.

    Args:
        texts: Iterable of strings.
        tokenize: The name of the tokenizer that separates their words.
    """
    if tokenize not in _UNSEPARATED:
        return
    texts = list(texts)
    text = "".join(texts)
    # Most texts have none of them, and are many.
    foreign = "".join(text for text in texts if not text.isascii())
    num_unseparated = _count(_UNSEPARATED[tokenize], foreign)
    if not num_unseparated or 2 * num_unseparated <= _count(r"\w", text):
        return
    if _has_spaces(texts, _UNSEPARATED[tokenize], num_unseparated):
        return
    better = "char"
    if _count(_OTHERS, text) < num_unseparated / 2:
        better = "ja-mecab" if _count(_KANA, text) else "zh"
    warnings.warn(
        "Most words of these texts are not separated by spaces, so that "
        f"{tokenize!r} counts whole clauses as words: choose another "
        f"tokenizer, such as `tokenize={better!r}`, on the command line "
        f"`--tokenize {better}`. Received: tokenize={tokenize!r}",
        stacklevel=4,
    )


def _has_spaces(texts, letters, num_letters):
    """Whether somebody has put spaces between the words of such a script."""
    words = [
        word
        for text in texts
        for word in text.split()
        if re.search(f"[{letters}]", word)
    ]
    if len(words) < 2 * len(texts):
        return False
    num_others = _count(_OTHERS, "".join(words))
    is_other = 2 * num_others > num_letters
    most = _MEAN_LENGTH_OF_OTHERS if is_other else _MEAN_LENGTH
    return num_letters <= most * len(words)


def _count(letters, text):
    return len(re.findall(f"[{letters}]", text))
