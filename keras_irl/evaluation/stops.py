"""Where a response ends."""

import numpy as np

from keras_irl.arguments import shortened

_SEQUENCES = list | tuple | set | frozenset | np.ndarray


class Stops:
    """Ends responses at stop tokens and at stop texts.

    Args:
        tokenizer: The tokenizer of a policy. Its end token ends a response.
        stop: Strings that end a response, and ids of tokens that do. Neither
            is part of the response.

    Raises:
        ValueError: If `stop` is one string, or has an entry that is empty or
            neither string nor id.
    """

    def __init__(self, tokenizer, stop=()):
        if not isinstance(stop, _SEQUENCES) or not all(map(_is_stop, stop)):
            raise ValueError(
                "`stop` is a list of strings that are not empty, and of token "
                f"ids. Received: stop={shortened(stop)}"
            )
        self.tokenizer = tokenizer
        self.texts = [str(s) for s in stop if isinstance(s, str)]
        ids = [tokenizer.end_token_id, *(self._id(s) for s in stop)]
        # A policy need not write beyond the tokens that mean an end.
        self.token_ids = tuple(sorted({int(i) for i in ids if i is not None}))

    def _id(self, stop):
        """The token that says what ends a text, if there is one."""
        if not isinstance(stop, str):
            return stop
        (ids,) = self.tokenizer([stop])
        ids = [int(i) for i in ids]
        # Not what the tokenizer changes, such as a line break into a space.
        if len(ids) == 1 and stop in self._texts([ids])[0]:
            return ids[0]
        return None

    def cut_tokens(self, ids):
        """Cuts token ids `(T,)` behind the first that ends the text."""
        # Whatever follows it is garbage.
        (ends,) = np.nonzero(np.isin(ids, self.token_ids))
        return ids[: ends[0] + 1] if len(ends) else ids

    def read(self, rows):
        """Makes texts of what `cut_tokens` returned.

        Args:
            rows: List of int arrays.

        Returns:
            The texts, whether each has ended, and the tokens of each: those
            up to its end, with that.
        """
        ended = [len(r) > 0 and r[-1] in self.token_ids for r in rows]
        written = [r[:-1] if e else r for r, e in zip(rows, ended, strict=True)]
        texts = self._texts(written)
        lengths = [len(row) for row in rows]
        for i, text in enumerate(texts):
            places = [text.find(stop) for stop in self.texts if stop in text]
            if places:
                texts[i] = text[: min(places)]
                ended[i] = True
                lengths[i] = self._length(written[i])
        return texts, ended, lengths

    def _length(self, ids):
        """The fewest tokens that hold a stop text, by bisection."""
        low, high = 0, len(ids)
        while high - low > 1:
            middle = (low + high) // 2
            (text,) = self._texts([ids[:middle]])
            if any(stop in text for stop in self.texts):
                high = middle
            else:
                low = middle
        return high

    def _texts(self, rows):
        special = self.tokenizer.special_token_ids
        kept = [[int(i) for i in row if i not in special] for row in rows]
        return [str(text) for text in self.tokenizer.detokenize(kept)]


def _is_stop(stop):
    if isinstance(stop, str):
        return bool(stop)
    is_number = isinstance(stop, int | np.integer)
    return is_number and not isinstance(stop, bool) and stop >= 0
