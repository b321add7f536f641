"""Tokenization and padding of prompts and responses.

keras-hub packs a text for training in one piece: it weighs the prompt like the
response, and appends an end token to a text that it has cut. A `TextPacker`
keeps prompt and response apart. What stands around a prompt (start tokens, the
end token of an encoder) is learned from the preprocessor's own
`generate_preprocess`, so training and generation start from the same state in
every family.
"""

import abc
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_irl.arguments import MAX_LENGTH
from keras_irl.arguments import check_integer
from keras_irl.data.texts import Texts
from keras_irl.families.family import layout_of
from keras_irl.families.layouts import CAUSAL
from keras_irl.families.layouts import SEQ2SEQ
from keras_irl.families.positions import POSITION_IDS
from keras_irl.families.positions import reads_positions
from keras_irl.families.special_tokens import Marks
from keras_irl.families.special_tokens import text_marks
from keras_irl.types import Policy

if TYPE_CHECKING:
    import keras_hub

_PROBES = string.ascii_letters + string.digits
_PROBE_LENGTH = 64


def text_packer(policy: Policy, max_length: int | None = None) -> "TextPacker":
    """Makes the `TextPacker` that fits a policy.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor attached.
        max_length: See `keras_irl.data.demonstrations`.

    Returns:
        A `TextPacker`.

    Raises:
        ValueError: If the policy is of another kind, has no preprocessor or
            no end token, or if `max_length` leaves no room for an action.
    """
    has_encoder = layout_of(policy).has_encoder
    packer_class = _Seq2SeqPacker if has_encoder else _CausalPacker
    preprocessor = policy.preprocessor
    if preprocessor is None:
        raise ValueError(
            "`policy` has no preprocessor, so its tokenizer is unknown. Build "
            "the demonstrations first and detach the preprocessor later, or "
            "set `policy.preprocessor`. Received: policy.preprocessor=None"
        )
    if preprocessor.tokenizer.end_token_id is None:
        raise ValueError(
            "The policy's tokenizer has no end token, so no response could "
            "ever end. Use a tokenizer that has one. Received: "
            f"tokenizer={preprocessor.tokenizer}, end_token_id=None"
        )
    packer = packer_class(preprocessor, max_length)
    packer.prompt_marks, packer.response_marks = text_marks(policy)
    packer.reads_positions = reads_positions(policy)
    return packer


class TextPacker(abc.ABC):
    """Packs prompts and responses into batches of one fixed shape.

    Args:
        preprocessor: The preprocessor of a policy.
        max_length: The number of states of a text, T.

    Attributes:
        prompt_room: The number of tokens that a prompt may have.
        needs_prompt: Whether a prompt without tokens would leave the policy
            nothing to read.
        reads_positions: Whether the policy reads the positions of tokens.
        prompt_marks: The `Marks` of prompts, which `text_packer` finds.
        response_marks: The `Marks` of responses.
        known: Characters that surely leave a token. A tokenizer without an
            unknown token swallows the characters that it does not know.
    """

    prompt_room: int
    needs_prompt: bool
    reads_positions: bool = False
    prompt_marks: Marks = Marks()
    response_marks: Marks = Marks()
    pad_id: int

    def __init__(
        self,
        preprocessor: "keras_hub.models.Preprocessor",
        max_length: Any,
    ) -> None:
        self.tokenizer = preprocessor.tokenizer
        self.max_length = max_length
        self.end_id = self.tokenizer.end_token_id
        tokens = self.tokenize([*_PROBES])
        self.known = frozenset(
            probe for probe, ids in zip(_PROBES, tokens, strict=True) if ids
        )
        if not self.known:
            raise ValueError(
                "The policy's tokenizer turns every letter and digit into "
                "nothing. Give it a vocabulary that covers the texts. "
                f"Received: tokenizer={self.tokenizer}"
            )

    @abc.abstractmethod
    def prefix(self, prompt: Sequence[int]) -> list[int]:
        """Lists the token ids before the first action."""

    @abc.abstractmethod
    def prefix_length(self, num_prompt_tokens: int) -> int:
        """Counts the token ids of `prefix`."""

    @abc.abstractmethod
    def name_inputs(
        self,
        prompts: Sequence[Sequence[int]],
        token_ids: np.ndarray,
        padding_mask: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Makes the dict that the policy reads."""

    def check_max_length(self) -> None:
        """Raises a `ValueError` if no text could have an action."""
        shortest = self.prefix_length(int(self.needs_prompt)) + 1
        self.max_length = check_integer(
            "max_length",
            self.max_length,
            least=shortest,
            most=MAX_LENGTH,
            meaning="It counts the states of a text, with room for one action "
            f"and the state after it: at least {shortest} for this policy.",
        )

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Turns texts into lists of ids without special tokens."""
        rows = self.tokenizer(texts) if texts else []
        # Lists as a rule, but a layer may also give tensors, ragged or not.
        return [np.asarray(row, "int32").tolist() for row in rows]

    def num_states(
        self, num_prompt_tokens: int, num_response_tokens: int
    ) -> int:
        """Counts the states in which a text takes its actions."""
        # The end token is an action and never a state.
        return self.prefix_length(num_prompt_tokens) + num_response_tokens

    def pack(
        self,
        prompts: Sequence[Sequence[int]],
        responses: Sequence[Sequence[int]],
        batch_size: int,
        finished: Sequence[bool] | None = None,
    ) -> Texts:
        """Packs tokenized texts; see `keras_irl.data.demonstrations`.

        Args:
            prompts: Lists of ids, at least one and at most `batch_size`.
            responses: Lists of ids, as many.
            batch_size: The number of rows, B. A row without a text is a copy
                of the first with a mask of 0.0.
            finished: Booleans, as many as texts: whether each ended. One that
                did not is cut where its end token would be. Defaults to
                `None`, where all did.

        Returns:
            `Texts` of NumPy arrays.
        """
        shape = (batch_size, self.max_length)
        token_ids = np.full(shape, self.pad_id, "int32")
        padding_mask = np.zeros(shape, "bool")
        actions = np.full(shape, self.pad_id, "int32")
        mask = np.zeros(shape, "float32")
        is_cut = np.zeros(shape, "bool")
        if finished is None:
            finished = [True] * len(prompts)
        texts = zip(prompts, responses, finished, strict=True)
        for row, (prompt, response, has_ended) in enumerate(texts):
            prefix = self.prefix(prompt)
            text = [*prefix, *response, self.end_id]
            end = min(len(text) - 1, self.max_length)
            token_ids[row, :end] = text[:end]
            padding_mask[row, :end] = True
            actions[row, :end] = text[1 : end + 1]
            mask[row, len(prefix) - 1 : end] = 1.0
            if self.num_states(len(prompt), len(response)) > end:
                mask[row, -1] = 0.0
                is_cut[row, -1] = True
            elif not has_ended:
                # Instead of the end token, which nobody wrote.
                mask[row, end - 1] = 0.0
                is_cut[row, end - 1] = True
        for array in (token_ids, padding_mask, actions):
            array[len(prompts) :] = array[0]
        prompts = [*prompts, *[prompts[0]] * (batch_size - len(prompts))]
        inputs = self.name_inputs(prompts, token_ids, padding_mask)
        return Texts(inputs, actions, mask, (mask > 0) | is_cut)


class _CausalPacker(TextPacker):
    """Packs texts for a `CausalLM`, which reads prompt and response as one."""

    def __init__(
        self,
        preprocessor: "keras_hub.models.Preprocessor",
        max_length: int | None = None,
    ) -> None:
        if max_length is None:
            max_length = preprocessor.sequence_length
        super().__init__(preprocessor, max_length)
        probe = min(self.known)
        packed = CAUSAL.encode(preprocessor, ["", probe], _PROBE_LENGTH)
        (specials, framed), self.pad_id = _real_ids(
            packed[CAUSAL.token_ids], packed[CAUSAL.padding_mask]
        )
        self.head, self.tail = _frame(specials, framed, *self.tokenize([probe]))
        self.needs_prompt = not specials
        self.check_max_length()
        # The first action and the state after it.
        self.prompt_room = self.max_length - len(specials) - 1

    def prefix(self, prompt: Sequence[int]) -> list[int]:
        """Lists the token ids before the first action."""
        return [*self.head, *prompt, *self.tail]

    def prefix_length(self, num_prompt_tokens: int) -> int:
        """Counts the token ids of `prefix`."""
        return len(self.head) + num_prompt_tokens + len(self.tail)

    def name_inputs(
        self,
        prompts: Sequence[Sequence[int]],
        token_ids: np.ndarray,
        padding_mask: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Makes the dict that the policy reads."""
        inputs = {
            CAUSAL.token_ids: token_ids,
            CAUSAL.padding_mask: padding_mask,
        }
        if self.reads_positions:
            positions = np.arange(token_ids.shape[1], dtype="int32")
            inputs[POSITION_IDS] = np.tile(positions, (len(token_ids), 1))
        return inputs


class _Seq2SeqPacker(TextPacker):
    """Packs prompts for an encoder, responses for a decoder stack."""

    def __init__(
        self,
        preprocessor: "keras_hub.models.Preprocessor",
        max_length: int | None = None,
    ) -> None:
        if max_length is None:
            max_length = preprocessor.decoder_sequence_length
        super().__init__(preprocessor, max_length)
        self.prompt_length = check_integer(
            "policy.preprocessor.encoder_sequence_length",
            preprocessor.encoder_sequence_length,
            least=1,
            most=MAX_LENGTH,
        )
        probe = min(self.known)
        packed = SEQ2SEQ.encode(
            preprocessor, ["", probe], _PROBE_LENGTH, _PROBE_LENGTH
        )
        (specials, framed), self.encoder_pad_id = _real_ids(
            *(packed[name] for name in SEQ2SEQ.prompt_inputs)
        )
        self.head, self.tail = _frame(specials, framed, *self.tokenize([probe]))
        (self.start, _), self.pad_id = _real_ids(
            packed[SEQ2SEQ.token_ids], packed[SEQ2SEQ.padding_mask]
        )
        self.needs_prompt = not specials
        self.check_max_length()
        self.prompt_room = self.prompt_length - len(specials)

    def prefix(self, prompt: Sequence[int]) -> list[int]:
        """Lists the token ids before the first action."""
        return self.start

    def prefix_length(self, num_prompt_tokens: int) -> int:
        """Counts the token ids of `prefix`."""
        return len(self.start)

    def name_inputs(
        self,
        prompts: Sequence[Sequence[int]],
        token_ids: np.ndarray,
        padding_mask: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Makes the dict that the policy reads."""
        shape = (len(prompts), self.prompt_length)
        encoder_token_ids = np.full(shape, self.encoder_pad_id, "int32")
        encoder_padding_mask = np.zeros(shape, "bool")
        for row, prompt in enumerate(prompts):
            ids = [*self.head, *prompt, *self.tail]
            encoder_token_ids[row, : len(ids)] = ids
            encoder_padding_mask[row, : len(ids)] = True
        return {
            SEQ2SEQ.prompt_token_ids: encoder_token_ids,
            SEQ2SEQ.prompt_padding_mask: encoder_padding_mask,
            SEQ2SEQ.token_ids: token_ids,
            SEQ2SEQ.padding_mask: padding_mask,
        }


def _real_ids(token_ids, padding_mask):
    """The unpadded rows of what a preprocessor packed, and its padding id."""
    token_ids = keras.ops.convert_to_numpy(token_ids)
    is_real = keras.ops.convert_to_numpy(padding_mask)
    rows = [
        ids[real].tolist() for ids, real in zip(token_ids, is_real, strict=True)
    ]
    return rows, int(token_ids[~is_real][0])


def _frame(specials, framed, tokens):
    """Splits the special tokens of a prompt into those before and after it."""
    for split in range(len(specials) + 1):
        head, tail = specials[:split], specials[split:]
        if [*head, *tokens, *tail] == framed:
            return head, tail
    raise ValueError(
        "The policy's preprocessor does more with a prompt than to put special "
        "tokens around its own tokens, so the state in which generation starts "
        "is unknown. Use a policy that reads plain text. Received: "
        f"generate_preprocess gives {framed} for the tokens {tokens}"
    )
