"""Exact entropies of the policy in the states of its samples."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from keras_irl.data.tokenization import text_packer
from keras_irl.error_texts import shortened
from keras_irl.models.policy_reader import PolicyReader
from keras_irl.ops import is_action
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Policy
from keras_irl.types import Tensor


class EntropyReader:
    """Reads the entropy of a policy at every token that it wrote, exactly.

    In each state sₜ in which a sample took a token, the end token included,

        H(π(· | sₜ)) = −Σₐ π(a | sₜ) log π(a | sₜ)

    is the entropy of the policy itself, at the temperature 1, whatever decoder
    took the token. No sample is drawn for it: the sampled tokens are read once
    more, all positions of a batch in one compiled call.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        max_length: The sequence length in tokens that the texts were written
            with.
        batch_size: Rows of every batch.
    """

    def __init__(
        self, policy: Policy, max_length: int | None, batch_size: int
    ) -> None:
        self._packer = text_packer(policy, max_length)
        self._batch_size = batch_size
        self._model = _EntropyModel(policy)

    def __call__(
        self, prompts: Sequence[str], token_ids: Sequence[Sequence[np.ndarray]]
    ) -> Tensor:
        """Sums the entropies of each text.

        Args:
            prompts: List of `P` strings. What was cut off at the encoder's
                sequence length when they were answered is cut off here too.
            token_ids: `P` lists of `K` int arrays, `Responses.token_ids`.

        Returns:
            Float64 array `(P, K)`, in nats.

        Raises:
            ValueError: If they do not fit together.
        """
        if token_ids is None or len(token_ids) != len(prompts):
            raise ValueError(
                "The entropies are those of the tokens of `Responses` to these "
                "prompts, which must know their `token_ids`. Received: "
                f"{len(prompts)} prompts, token_ids={shortened(token_ids)}"
            )
        size, room = self._batch_size, self._packer.prompt_room
        # Not all tokenizers take a list that has nothing but empty texts.
        starts: list[list[int]] = [[] for _ in prompts]
        if any(prompts):
            found = self._packer.tokenize(list(prompts))
            starts = [ids[:room] for ids in found]
        rows = [
            (start, list(ids))
            for start, samples in zip(starts, token_ids, strict=True)
            for ids in samples
        ]
        sums = [
            self._read(rows[first : first + size])
            for first in progress_bar(
                range(0, len(rows), size), "Reading entropies", unit="batch"
            )
        ]
        return np.concatenate(sums).reshape(len(starts), -1)

    def _read(self, rows):
        """The sums of a batch of prompts and of what was written."""
        end = self._packer.end_id
        ended = [ids[-1] == end for _, ids in rows]
        prompts, written = zip(*rows, strict=True)
        # The packer appends an end token.
        written = [
            ids[:-1] if has_ended else ids
            for ids, has_ended in zip(written, ended, strict=True)
        ]
        texts = self._packer.pack(prompts, written, self._batch_size, ended)
        sums = self._model.predict_on_batch(texts._asdict())
        return np.asarray(sums, "float64")[: len(rows)]


class _EntropyModel(PolicyReader):
    """Sums the entropies of the actions of each row: `(B,)`."""

    def call(self, batch):
        entropies = self.statistics(**batch).entropies
        counts = is_action(batch["mask"])
        return ops.sum(ops.where(counts, entropies, 0.0), axis=1)
