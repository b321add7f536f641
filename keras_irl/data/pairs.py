"""Demonstrations from pairs of prompt and response."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_irl.data.dataset import Demonstrations
from keras_irl.data.shares import shared_batches
from keras_irl.data.shuffling import ordered_rows
from keras_irl.data.shuffling import spread
from keras_irl.data.texts import KerasBatch
from keras_irl.data.tokenization import text_packer
from keras_irl.data.validation import check_batching
from keras_irl.data.validation import check_columns
from keras_irl.data.validation import check_tokens
from keras_irl.data.validation import read_row
from keras_irl.data.validation import report_dropped
from keras_irl.data.validation import report_left_out
from keras_irl.data.validation import report_truncated
from keras_irl.data.validation import survey
from keras_irl.types import Policy

if TYPE_CHECKING:
    import numpy as np

    from keras_irl.data.tokenization import TextPacker


def demonstrations(
    policy: Policy,
    prompts: Sequence[str],
    responses: Sequence[str],
    batch_size: int,
    *,
    max_length: int | None = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    on_invalid: str = "raise",
) -> Demonstrations:
    """Makes batches of demonstrations from prompts and their responses.

    A batch is a tuple `(inputs, actions, mask)` of NumPy arrays. Position t of
    a row holds a state, the text up to there, and the action taken in it, the
    next token:

    - `inputs`, the dict that the policy reads. For a `CausalLM`: `token_ids`,
      int32, and `padding_mask`, bool, of shape `(B, T)`. For a `Seq2SeqLM`:
      the same two of the decoder stack, and of the encoder with shape `(B, S)`.
      Gemma4 reads `position_ids` besides.
    - `actions`, int32 of shape `(B, T)`: the next tokens.
    - `mask`, float32 of shape `(B, T)`, the sample weight of Keras: 1.0 where
      an action was demonstrated, that is for the response's tokens and for
      the end token; 0.0 on the prompt and on padding.

    The state of a text before its first action is what the policy's
    `generate_preprocess` feeds it. Prompt and response are tokenized apart,
    and joined without a space.

    **Truncated texts.** A text whose states fill more than T positions is cut
    there. It gets no end token, since none was demonstrated there, and the
    state after its last action is not terminal: position T - 1 holds it, with
    a mask of *negative* zero, `keras_irl.ops.CONTINUES`. Metrics and sums of
    Keras see a zero weight. `keras_irl.ops.decode_sample_weight`, which every
    loss and trainer calls, sees a state whose value counts as the next value of
    the last action. After the last action of a text that ended comes a mask of
    0.0, or the end of the array: its next value is 0.

    | text, T = 5         | actions   | mask             |
    |---------------------|-----------|------------------|
    | `<s> p a </s>`      | p a / - - | 0 1 1 0 0        |
    | `<s> p a b c </s>`  | p a b c / | 0 1 1 1 1        |
    | `<s> p a b c d </s>`| p a b c d | 0 1 1 1 -0       |

    Every batch has the same shape. Rows that are missing in the last are
    copies of its first row with a mask of 0.0.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor attached. It may be detached afterwards.
        prompts: The prompts, a sequence of strings. Anything with a length
            and an index will do; rows are read when their batch is made. A
            pandas Series is read in the order in which it stands, whatever
            its labels.
        responses: The expert's responses, a sequence as long.
        batch_size: The number of texts in a batch, B.
        max_length: The number of states of a text, T: of prompt and response
            for a `CausalLM`, of the response for a `Seq2SeqLM`. Defaults to
            the preprocessor's `sequence_length`, or its
            `decoder_sequence_length`. The length of the prompts of a
            `Seq2SeqLM`, S, is the preprocessor's `encoder_sequence_length`.
        seed: The seed of the orders of epochs, an integer of at least 0.
            Defaults to `None`, for 0 where rows are shuffled.
        shuffle: Whether every epoch has an order of its own, the same on all
            machines. `False` keeps the order of the rows. Defaults to `None`:
            where there is a seed.
        on_invalid: What to do with a row that can't be imitated: one that is
            no string or not valid UTF-8, whose response is empty, whose
            prompt fills the window, or in which a special token is written
            out, such as `<|endoftext|>`. `"raise"` an error that names the
            row, or `"drop"` such rows, count them and warn. An end token at
            the very end of a response is left out, with a warning: each gets
            one anyway. So is a start token at the beginning of a prompt. In
            prompts, tokens around turns are what a chat template is made of,
            and stay.

    Returns:
        A `Demonstrations`, a `grain.MapDataset` of batches.

    Raises:
        ValueError: If a row or an argument is invalid.

    Example:
    ```python
    dataset = keras_irl.data.demonstrations(
        policy, ["2 + 3 =", "4 + 4 ="], ["5", "8"], batch_size=2, seed=0
    )
    inputs, actions, mask = dataset[0]
    policy.fit(dataset, epochs=3)
    ```
    """
    batch_size, seed = check_batching(batch_size, seed, on_invalid, shuffle)
    prompts, responses = check_columns(prompts, responses)
    packer = text_packer(policy, max_length)
    found = survey(packer, prompts, responses, on_invalid)
    pairs = PairReader(packer, prompts, responses, found.rows)
    num_rows = pairs.num_valid
    if found.dropped:
        report_dropped(found.dropped, len(prompts), num_rows)
    report_left_out(found.left_out, len(prompts))
    if len(found.truncated):
        report_truncated(found.truncated, num_rows, packer.max_length)
    rows = ordered_rows(num_rows, seed)
    batches = shared_batches(rows, batch_size, pairs.batch)
    return Demonstrations(
        batches.own,
        num_rows=num_rows,
        num_truncated=len(found.truncated),
        dropped=found.dropped,
        whole=batches.whole,
        share=batches.share,
        texts=pairs.sampled,
    )


@dataclasses.dataclass(frozen=True)
class PairReader:
    """Reads prompts and responses, as strings, tokens or batches.

    Attributes:
        packer: A `TextPacker`.
        prompts: A sequence of strings.
        responses: Another, as long.
        valid: The indices of the rows that can be imitated, or `None` for all.
    """

    packer: "TextPacker"
    prompts: Sequence[str]
    responses: Sequence[str]
    valid: "np.ndarray | None" = None

    @property
    def num_valid(self) -> int:
        """The number of rows that can be imitated."""
        return len(self.prompts if self.valid is None else self.valid)

    def texts(self, row: int) -> tuple[str, str]:
        """Reads the prompt and the response of a row."""
        return read_row(self.packer, self.prompts, self.responses, row)

    def tokens(
        self, rows: "Sequence[int] | np.ndarray"
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Reads and tokenizes rows, and checks that they can be imitated.

        Args:
            rows: The indices of the rows, valid or not.

        Returns:
            A tuple of two lists with a list of ids for each row, those of the
            prompts and those of the responses.

        Raises:
            ValueError: If a row can't be imitated.
        """
        texts = [self.texts(int(row)) for row in rows]
        prompt_ids = self.packer.tokenize([prompt for prompt, _ in texts])
        response_ids = self.packer.tokenize([response for _, response in texts])
        for row, pair, *tokens in zip(
            rows, texts, prompt_ids, response_ids, strict=True
        ):
            check_tokens(self.packer, int(row), pair, tokens)
        return prompt_ids, response_ids

    def batch(self, batch_size: int, indices: Sequence[int]) -> KerasBatch:
        """Reads, tokenizes and packs a batch, one row a text.

        Args:
            batch_size: The number of rows of the batch.
            indices: Which of the valid rows, as many at most.

        Returns:
            `KerasBatch` of NumPy arrays.
        """
        rows = indices
        if self.valid is not None:
            rows = [self.valid[i] for i in indices]
        texts = self.packer.pack(*self.tokens(rows), batch_size)
        return texts.as_keras_batch()

    def sampled(self, num_texts: int) -> tuple[list[str], list[str]]:
        """Reads some texts from all over the data.

        Args:
            num_texts: The number of texts at most.

        Returns:
            The tuple of the list of prompts and that of their responses.
        """
        rows = spread(self.num_valid, num_texts)
        if self.valid is not None:
            rows = self.valid[rows]
        pairs = [self.texts(int(row)) for row in rows]
        return [prompt for prompt, _ in pairs], [text for _, text in pairs]
