"""Batch layouts: the names of a policy's inputs and outputs."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

from keras_irl.types import Tensor

if TYPE_CHECKING:
    import keras_hub


@dataclasses.dataclass(frozen=True)
class BatchLayout:
    """Names of a policy's inputs, and of the lengths of its texts.

    Attributes:
        token_ids: The input of the states in which actions are taken.
        padding_mask: The mask of their padding. In what a prompt is encoded
            to, it is false where tokens are to be generated.
        length_name: The attribute of the preprocessor for the length of these.
        prompt_token_ids: The input of an encoder, or `None`: a `CausalLM`
            reads prompt and response as one.
        prompt_padding_mask: The mask of its padding, or `None`.
        prompt_length_name: The attribute for the length of prompts, or `None`.
    """

    token_ids: str
    padding_mask: str
    length_name: str
    prompt_token_ids: Any = None
    prompt_padding_mask: Any = None
    prompt_length_name: Any = None

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder reads the prompts."""
        return self.prompt_token_ids is not None

    @property
    def prompt_inputs(self) -> Any:
        """The names of what the encoder reads, none without one."""
        names = (self.prompt_token_ids, self.prompt_padding_mask)
        return names if self.has_encoder else ()

    def sequence_lengths(
        self, preprocessor: "keras_hub.models.Preprocessor"
    ) -> dict[str, int | None]:
        """Reads the lengths that texts are packed to.

        Args:
            preprocessor: The preprocessor of a policy.

        Returns:
            Dictionary from the attributes to their values.
        """
        if not self.has_encoder:
            return {self.length_name: preprocessor.sequence_length}
        return {
            self.prompt_length_name: preprocessor.encoder_sequence_length,
            # By its alias, which all preprocessors have.
            self.length_name: preprocessor.sequence_length,
        }

    def set_sequence_lengths(
        self,
        preprocessor: "keras_hub.models.Preprocessor",
        lengths: Mapping[str, int | None],
    ) -> None:
        """Sets the lengths that texts are packed to.

        Args:
            preprocessor: The preprocessor of a policy.
            lengths: Dictionary from attributes to lengths, as
                `sequence_lengths` reads it. What is not there is left as it
                is.
        """
        if self.length_name in lengths:
            preprocessor.sequence_length = lengths[self.length_name]
        if self.has_encoder and self.prompt_length_name in lengths:
            preprocessor.encoder_sequence_length = lengths[
                self.prompt_length_name
            ]

    def encode(
        self,
        preprocessor: "keras_hub.models.Preprocessor",
        prompts: Sequence[str],
        length: int | None,
        prompt_length: int | None = None,
    ) -> dict[str, Tensor]:
        """Encodes prompts as generation starts from them.

        Args:
            preprocessor: The preprocessor of a policy.
            prompts: List of strings.
            length: The length of what is generated; with the prompt, where
                there is no encoder. `None` is that of the preprocessor.
            prompt_length: The length of what an encoder reads. Defaults to
                `None`, that of the preprocessor.

        Returns:
            Dictionary of tensors, what `generate_step` reads.
        """
        if not self.has_encoder:
            return preprocessor.generate_preprocess(
                prompts, sequence_length=length
            )
        return preprocessor.generate_preprocess(
            prompts,
            encoder_sequence_length=prompt_length,
            decoder_sequence_length=length,
        )


CAUSAL = BatchLayout("token_ids", "padding_mask", "sequence_length")
SEQ2SEQ = BatchLayout(
    "decoder_token_ids",
    "decoder_padding_mask",
    "decoder_sequence_length",
    "encoder_token_ids",
    "encoder_padding_mask",
    "encoder_sequence_length",
)
# What a backbone calls the states of its two halves.
ENCODER_STATES = "encoder_sequence_output"
DECODER_STATES = "decoder_sequence_output"


def layout_of_inputs(inputs: Mapping[str, Tensor]) -> BatchLayout:
    """Tells the layout of inputs from their names.

    Args:
        inputs: Dictionary, what a policy reads or its `generate_step` returns.

    Returns:
        A `BatchLayout`.
    """
    names = (SEQ2SEQ.token_ids, SEQ2SEQ.padding_mask)
    return SEQ2SEQ if any(name in inputs for name in names) else CAUSAL


def has_separate_prompt(inputs: Mapping[str, Tensor]) -> bool:
    """Tells whether prompts are encoded separately from their responses.

    Args:
        inputs: Dictionary, what `generate_preprocess` made.

    Returns:
        A boolean: true of a RWKV7, which reads a prompt from the end of its
        window.
    """
    return "predict_token_ids" in inputs
