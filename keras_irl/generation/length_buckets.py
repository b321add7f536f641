"""Length buckets: batches of few widths."""

from collections.abc import Iterator

import numpy as np

from keras_irl.families.layouts import CAUSAL
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.families.layouts import has_separate_prompt
from keras_irl.families.layouts import layout_of_inputs
from keras_irl.generation.drawing import prefix_mask

# A width of its own costs compiling: so many batches must make up for that.
_MIN_BATCHES = 4
_CUT = (CAUSAL.token_ids, CAUSAL.padding_mask, *SEQ2SEQ.prompt_inputs)


class LengthBuckets:
    """Encoded prompts, in batches of about the same length.

    What short prompts can save is, for a `Seq2SeqLM`, the window of the
    encoder; for a `CausalLM`, the window of prompt and response, if responses
    have a length of their own.

    Args:
        inputs: Dictionary of NumPy arrays `(P, ...)`, from `encode_prompts`.
        max_tokens: Tokens of a response at most. Defaults to `None`, for what
            the window holds.
    """

    def __init__(
        self, inputs: dict[str, np.ndarray], max_tokens: int | None = None
    ) -> None:
        self.inputs = inputs
        # Where responses start.
        self.starts = prefix_mask(inputs).sum(axis=1)
        layout = layout_of_inputs(inputs)
        if layout.has_encoder:
            mask = inputs[layout.prompt_padding_mask]
            self._max_width = mask.shape[1]
            self._lengths = mask.sum(axis=1)
            self._needed = self._lengths
        else:
            self._max_width = prefix_mask(inputs).shape[1]
            self._lengths = self.starts
            room = self._max_width if max_tokens is None else max_tokens
            self._needed = np.minimum(self.starts + room, self._max_width)
        # Those are read from the end of a window.
        self._is_fixed = has_separate_prompt(inputs)

    def batches(
        self, batch_size: int, num_buckets: int
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Groups the prompts.

        The widths are the window, a half of it, a quarter, and so on. A
        prompt goes to the smallest that holds what it needs, if four batches
        do; otherwise to the next.

        Args:
            batch_size: Prompts in every batch but the last of a width.
            num_buckets: How many widths there are at most, and so shapes to
                compile for. At 1, all batches have the width of the window.

        Yields:
            The rows of a batch, an int array, and its width.
        """
        order = np.argsort(self._lengths, kind="stable")
        count = 1 if self._is_fixed else num_buckets
        for i in reversed(range(count)):
            width = -(-self._max_width // 2**i)
            rows = order[self._needed[order] <= width]
            if i == 0 or len(rows) >= _MIN_BATCHES * batch_size:
                order = order[self._needed[order] > width]
                for start in range(0, len(rows), batch_size):
                    yield rows[start : start + batch_size], width

    def take(
        self, rows: np.ndarray, width: int, batch_size: int
    ) -> dict[str, np.ndarray]:
        """Cuts a batch out: a dictionary of arrays `(batch_size, ...)`."""
        # Copies of a row fill a partial batch up: another shape would compile.
        filled = np.resize(rows, batch_size)
        return {
            name: array[filled][:, :width]
            if name in _CUT and not self._is_fixed
            else array[filled]
            for name, array in self.inputs.items()
        }
