"""Batches of tokenized texts whose rewards are read.

They need not be imitable: an empty response is one action, the end token.
"""

import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras_hub
import numpy as np

from keras_irl.columns import column
from keras_irl.data.texts import Texts
from keras_irl.data.tokenization import text_packer
from keras_irl.error_texts import shortened
from keras_irl.families.special_tokens import left_out
from keras_irl.types import Policy

_WORD_MARK = "▁"  # What stands for a space in the tokens of SentencePiece.


def check_texts(
    prompts: Sequence[str], responses: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Checks that these are two columns of as many texts.

    Args:
        prompts: Sequence of strings.
        responses: Sequence of strings, or of the ids of tokens.

    Returns:
        Both as lists.

    Raises:
        ValueError: If they are not.
    """
    prompts = list(column("prompts", prompts))
    responses = list(column("responses", responses))
    for name, texts in (("prompts", prompts), ("responses", responses)):
        for row, text in enumerate(texts):
            if name == "prompts" or not _is_token_ids(text):
                _check_text(name, row, text)
    if len(prompts) != len(responses):
        raise ValueError(
            "Each response needs its prompt. Repeat a prompt that has several. "
            f"Received: {len(prompts)} prompts, {len(responses)} responses"
        )
    if not prompts:
        raise ValueError(
            "There is nothing to reward: pass at least one prompt and its "
            "response. Received: prompts=[], responses=[]"
        )
    return prompts, responses


def check_finished(
    finished: Any, num_texts: int, num_ids: int = 0
) -> list[bool]:
    """Returns whether each text ended, as a list of booleans.

    Args:
        finished: A sequence of booleans, or `None` where all did.
        num_texts: Number of texts.
        num_ids: How many of them are token ids, which tell it themselves.

    Raises:
        ValueError: If the number of booleans differs, one is no boolean, or
            there are ids besides.
    """
    if finished is None:
        return [True] * num_texts
    finished = np.asarray(list(column("finished", finished)))
    if num_ids or finished.dtype != bool or finished.shape != (num_texts,):
        raise ValueError(
            "`finished` must hold one boolean for each response, or be `None` "
            "where all of them ended, and where they are token ids: these end "
            f"in the end token, or did not end. Received: "
            f"finished={shortened(finished)} for {num_texts} responses, "
            f"{num_ids} of them token ids"
        )
    return finished.tolist()


class TextBatches:
    """Packs texts into batches of one shape, for a policy to read.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        batch_size: Rows of every batch.
    """

    def __init__(self, policy: Policy, batch_size: int) -> None:
        self.packer = text_packer(policy)
        self.batch_size = batch_size
        self._vocabulary_size = policy.output.shape[-1]
        self._names: dict[int, str] = {}

    def __call__(
        self,
        prompts: Sequence[str],
        responses: Sequence[str],
        finished: Sequence[bool],
    ) -> Iterator[Texts]:
        """Yields `Texts` for each batch.

        Args:
            prompts: List of strings.
            responses: List of strings, or of the ids of tokens.
            finished: List of booleans, from `check_finished`.

        Yields:
            NumPy arrays as those of `keras_irl.data.demonstrations`. A text
            that is not finished goes on after its last action.
        """
        prompts = self._without_marks("prompts", prompts)
        responses = self._without_marks("responses", responses)
        prompt_ids = self._tokenize(prompts)
        response_ids = self._tokenize(responses)
        for row, texts in enumerate(
            zip(prompt_ids, response_ids, finished, strict=True)
        ):
            self._check_fit(row, *texts)
        for start in range(0, len(prompts), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.packer.pack(
                prompt_ids[rows],
                response_ids[rows],
                self.batch_size,
                finished[rows],
            )

    def check_finished(
        self, finished: Any, responses: Sequence[str]
    ) -> list[bool]:
        """Returns whether each text ended, as a list of booleans.

        Args:
            finished: A sequence of booleans, or `None` where all strings did.
            responses: List of strings, or of the ids of tokens, which tell it
                themselves.

        Raises:
            ValueError: If the number of booleans differs, one is no boolean,
                there are ids besides, or ids are none of this policy.
        """
        ids = {
            row: list(text)
            for row, text in enumerate(responses)
            if not isinstance(text, str)
        }
        for row, tokens in ids.items():
            self._check_token_ids(row, tokens)
        ended = check_finished(finished, len(responses), len(ids))
        for row, tokens in ids.items():
            ended[row] = tokens[-1] == self.packer.end_id
        return ended

    def names(self, ids: Any) -> list[str]:
        """The strings that a reader sees for the ids of some tokens."""
        new = [int(i) for i in set(ids) - self._names.keys()]
        self._names |= zip(new, map(self._name, new), strict=True)
        return [self._names[i] for i in ids]

    def _without_marks(self, name, texts):
        """The texts without special tokens at their borders."""
        marks = self.packer.response_marks
        if name == "prompts":
            marks = self.packer.prompt_marks
        stripped = [
            marks.strip(text) if isinstance(text, str) else text
            for text in texts
        ]
        num_marked = sum(
            a is not b for a, b in zip(texts, stripped, strict=True)
        )
        if num_marked:
            warnings.warn(left_out(num_marked, len(texts), name), stacklevel=4)
        for row, text in enumerate(stripped):
            found = marks.find(text) if isinstance(text, str) else None
            if found is not None:
                raise ValueError(
                    "A text holds a special token, where it would end or "
                    f"begin anew. Remove {found[0]!r}. "
                    f"Received: {name}[{row}]={shortened(texts[row])}"
                )
        return stripped

    def _name(self, token):
        tokenizer = self.packer.tokenizer
        if token in tokenizer.special_token_ids:
            return tokenizer.id_to_token(token)
        if isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer):
            # Alone, a token would lose its space to `detokenize`.
            return tokenizer.id_to_token(token).replace(_WORD_MARK, " ")
        return str(tokenizer.detokenize([[token]])[0])

    def _tokenize(self, texts):
        # Tokenizers take a list with an empty text, but not all of them one
        # that has nothing else.
        filled = [text for text in texts if isinstance(text, str) and text]
        rows = iter(self.packer.tokenize(filled))
        return [self._ids(text, rows) for text in texts]

    def _ids(self, text, rows):
        if isinstance(text, str):
            return next(rows) if text else []
        # The packer appends an end token.
        return [int(i) for i in text if i != self.packer.end_id]

    def _check_token_ids(self, row, ids):
        is_known = all(0 <= i < self._vocabulary_size for i in ids)
        if not is_known or self.packer.end_id in ids[:-1]:
            raise ValueError(
                "Token ids are those of the policy that reads them, from 0 to "
                f"{self._vocabulary_size - 1}, and nothing follows the end "
                f"token {self.packer.end_id}. "
                f"Received: responses[{row}]={shortened(ids)}"
            )

    def _check_fit(self, row, prompt, response, has_ended):
        packer = self.packer
        if packer.needs_prompt and not prompt:
            raise ValueError(
                f"Row {row}: the prompt is empty and this policy has no start "
                "token, so it has nothing to read before its first action. "
                f"Fill it in. Received: prompts[{row}] with 0 tokens"
            )
        if not (response or has_ended):
            raise ValueError(
                f"Row {row}: the response is empty and not finished, so there "
                "is no action to reward. Leave it out. "
                f"Received: responses[{row}] with 0 tokens"
            )
        num_states = packer.num_states(len(prompt), len(response))
        # The window of an encoder-decoder has no room for prompts.
        is_long = len(prompt) > packer.prompt_room
        if is_long or num_states > packer.max_length:
            raise ValueError(
                f"Row {row}: the text does not fit the policy's window. "
                "Shorten it, or widen the window: `policy.preprocessor."
                "sequence_length`, or for the prompts of an encoder "
                "`policy.preprocessor.encoder_sequence_length`; from the shell "
                "`--max-length` and `--max-prompt-length`. "
                f"Received: {len(prompt)} tokens of prompt, {len(response)} of "
                f"response, a window of {packer.max_length} states with room "
                f"for {packer.prompt_room} tokens of prompt"
            )


def _is_token_ids(text):
    is_list = isinstance(text, list | tuple | np.ndarray) and len(text) > 0
    return is_list and all(
        isinstance(i, int | np.integer) and not isinstance(i, bool)
        for i in text
    )


def _check_text(name, row, text):
    if not isinstance(text, str):
        raise ValueError(
            "Every prompt and response must be a string, or a response the "
            "list of its token ids, at least one. "
            f"Received: {name}[{row}]={shortened(text)}"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            "A text holds half a surrogate pair, which is no character and "
            f"has no tokens. Received: {name}[{row}]={text!a:.200}"
        ) from None
