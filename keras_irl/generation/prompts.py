"""Tokenized prompts, and batches of them of about the same length."""

import warnings
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_irl.arguments import MAX_LENGTH
from keras_irl.arguments import ArgumentError
from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.error_texts import shortened
from keras_irl.families.family import check_language_model
from keras_irl.families.family import layout_of
from keras_irl.families.layouts import CAUSAL
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.families.layouts import has_separate_prompt
from keras_irl.families.layouts import layout_of_inputs
from keras_irl.families.special_tokens import left_out
from keras_irl.families.special_tokens import text_marks
from keras_irl.generation.drawing import prefix_mask
from keras_irl.types import Policy

# Of texts that are longer, their beginning is looked at first.
_CHARACTERS_PER_TOKEN = 32
_MARGIN = 64

# A width of its own costs compiling: so many batches must make up for that.
_MIN_BATCHES = 4
_CUT = (CAUSAL.token_ids, CAUSAL.padding_mask, *SEQ2SEQ.prompt_inputs)


def encode_prompts(
    policy: Policy, prompts: Sequence[str], max_length: int | None
) -> "dict[str, np.ndarray]":
    """Encodes prompts as `policy.generate` starts from them.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        prompts: A list of strings.
        max_length: The sequence length in tokens: of prompt and response for a
            `CausalLM`, of the response for a `Seq2SeqLM`.

    Returns:
        The dictionary of NumPy arrays that the policy reads. Where the padding
        mask (for a `Seq2SeqLM` that of the decoder stack) is false, tokens are
        still to be generated.

    Raises:
        ValueError: If `policy` is no language model with a preprocessor,
            `max_length` is no integer of at least 1, there are no prompts, one
            of them is no string or holds a special token, or one leaves no
            room for a response. The encoder of a `Seq2SeqLM` cuts prompts that
            are too long: this warns, with their number.

    Example:
    ```python
    inputs = keras_irl.generation.encode_prompts(policy, ["2 + 3 ="], 64)
    ```
    """
    check_language_model(policy, needs_preprocessor=True)
    if max_length is not None:
        max_length = check_integer("max_length", max_length, 1, MAX_LENGTH)
    prompts = _require_texts(policy, prompts)
    layout = layout_of(policy)
    if layout.has_encoder:
        _warn_of_cut_prompts(policy, prompts)
    read = _heads(policy, prompts, max_length)
    inputs = layout.encode(policy.preprocessor, read, max_length)
    full = ops.convert_to_numpy(inputs[layout.padding_mask]).all(axis=1)
    if full.any():
        row = int(full.argmax())
        raise ArgumentError(
            f"The prefix of prompt {row} fills the window of {max_length} "
            "tokens and leaves no room for a response. Raise `max_length` or "
            "shorten the prompt. "
            f"Received: prompts[{row}]={shortened(prompts[row])}",
            "max_length",
        )
    return {name: ops.convert_to_numpy(v) for name, v in inputs.items()}


def _heads(policy, prompts, max_length):
    """As much of each prompt as has more tokens than the policy reads.

    keras-hub packs ids one by one, a minute for 10 MB; its tokenizers take
    seconds.
    """
    layout, preprocessor = layout_of(policy), policy.preprocessor
    lengths = [*layout.sequence_lengths(preprocessor).values(), max_length]
    longest = max(length for length in lengths if length is not None)
    tokenizer = preprocessor.tokenizer
    return [_head(tokenizer, prompt, longest) for prompt in prompts]


def _head(tokenizer, text, num_tokens):
    size = _CHARACTERS_PER_TOKEN * num_tokens
    while size < len(text):
        (tokens,) = tokenizer([text[:size]])
        # Where a text is cut, the tokens before may be others.
        if len(tokens) > 2 * num_tokens + _MARGIN:
            return text[:size]
        size *= 4
    return text


def num_cut_prompts(policy: Policy, prompts: Sequence[str]) -> int:
    """Counts the prompts that `encode_prompts` cuts.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        prompts: A list of strings.

    Returns:
        Integer; 0 for a `CausalLM`, whose prompts are refused if too long.
    """
    if layout_of(policy).has_encoder:
        prompts = _require_texts(policy, prompts)
        return int(_are_cut(policy, prompts).sum())
    return 0


def _are_cut(policy, prompts):
    layout, preprocessor = layout_of(policy), policy.preprocessor
    # One position more than the encoder reads shows which prompts it cuts.
    width = layout.sequence_lengths(preprocessor)[layout.prompt_length_name] + 1
    read = _heads(policy, prompts, width)
    wider = layout.encode(preprocessor, read, None, width)
    return ops.convert_to_numpy(wider[layout.prompt_padding_mask])[:, -1]


def _warn_of_cut_prompts(policy, prompts):
    cut = _are_cut(policy, prompts)
    if cut.any():
        length = policy.preprocessor.encoder_sequence_length
        warnings.warn(
            f"{cut.sum()} of {len(cut)} prompts are longer than the encoder's "
            f"window of {length} tokens and will be cut, the first of them "
            f"prompts[{cut.argmax()}]. Raise `encoder_sequence_length` of the "
            "policy's preprocessor.",
            stacklevel=2,
        )


def _require_texts(policy, prompts):
    """The prompts as strings, without special tokens at their borders."""
    texts = list(column("prompts", prompts))
    if not texts:
        raise ValueError(
            "There is nothing to answer: pass a list of at least one prompt. "
            f"Received: prompts={shortened(prompts)}"
        )
    for row, prompt in enumerate(texts):
        if not isinstance(prompt, str):
            raise ValueError(
                "Every prompt must be a string. "
                f"Received: prompts[{row}]={shortened(prompt)}"
            )
    marks, _ = text_marks(policy)
    stripped = [marks.strip(str(text)) for text in texts]
    num_marked = sum(a != b for a, b in zip(texts, stripped, strict=True))
    if num_marked:
        warnings.warn(left_out(num_marked, len(texts), "prompts"), stacklevel=3)
    for row, text in enumerate(stripped):
        if (found := marks.find(text)) is not None:
            raise ValueError(
                "A prompt holds a special token, where it would end. Remove "
                f"{found[0]!r}. "
                f"Received: prompts[{row}]={shortened(texts[row])}"
            )
    return stripped


class LengthBuckets:
    """Encoded prompts, in batches of about the same length.

    What short prompts can save is positions: of the encoder of a `Seq2SeqLM`,
    and of prompt and response of a `CausalLM`, if responses have a length of
    their own.

    Args:
        inputs: Dictionary of NumPy arrays `(P, ...)`, from `encode_prompts`.
        max_tokens: Tokens of a response at most. Defaults to `None`, for what
            the sequence length leaves.
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
        # Those are read from the end of a sequence.
        self._is_fixed = has_separate_prompt(inputs)

    def batches(
        self, batch_size: int, num_buckets: int
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Groups the prompts.

        The widths are the sequence length, a half of it, a quarter, and so on.
        A prompt goes to the smallest that holds what it needs, if four batches
        do; otherwise to the next.

        Args:
            batch_size: Prompts in every batch but the last of a width.
            num_buckets: How many widths there are at most, and so shapes to
                compile for. At 1, all batches have the sequence length.

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
