"""Decoders: sampling and beam search, with their settings and names."""

import dataclasses
import numbers
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeAlias

from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import check_integer
from keras_irl.error_texts import number_text
from keras_irl.error_texts import shortened
from keras_irl.generation.beam_search import BeamSearcher
from keras_irl.generation.beam_search import check_beams
from keras_irl.generation.samplers import GreedySampler
from keras_irl.generation.samplers import TokenSampler
from keras_irl.generation.samplers import check_sampling

if TYPE_CHECKING:
    from keras_irl.generation.samplers import BranchingSampler


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Temperature sampling with optional top-k and top-p truncation.

    Attributes:
        temperature: What the logits are divided by; 0 is greedy decoding.
        top_k: Leaves only so many likeliest tokens; `None` leaves all.
        top_p: Leaves only the fewest likeliest tokens of this probability;
            `None` leaves all.

    Raises:
        ValueError: If the temperature is below 0, `top_k` below 1, or `top_p`
            outside (0, 1].

    Example:
    ```python
    keras_irl.generation.Sampling(0.5, top_p=0.9).name  # "T=0.5 top-p 0.9"
    ```
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self):
        checked = check_sampling(self.temperature, self.top_k, self.top_p)
        for name, value in zip(vars(self), checked, strict=True):
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """Name of the decoding strategy, as in tables."""
        if self.temperature == 0:
            return "greedy"
        words = [f"T={number_text(self.temperature)}"]
        if self.top_k is not None:
            words.append(f"top-k {self.top_k}")
        if self.top_p is not None:
            words.append(f"top-p {number_text(self.top_p)}")
        return " ".join(words)

    @property
    def is_random(self) -> bool:
        """Whether two samples of a prompt may differ."""
        return self.temperature > 0

    @property
    def constants(self) -> tuple[Any, ...]:
        """Settings that a sampler is compiled with; others share it."""
        if self.temperature == 0:
            # Noise that counts for nothing takes time all the same.
            return ("greedy",)
        return self.top_k, self.top_p is not None

    def num_return_sequences(self, num_samples: int, batch_size: int) -> int:
        """Rows of a prompt in one batch; several may be needed."""
        num_samples = check_integer("num_samples", num_samples, least=1)
        batch_size = check_integer("batch_size", batch_size, least=1)
        num_batches = -(-num_samples // batch_size)
        return -(-num_samples // num_batches)

    @renamed_arguments("0.3", num_branches="num_return_sequences")
    def make_sampler(
        self,
        num_return_sequences: int,
        stop_token_ids: Sequence[int],
        max_tokens: int | None = None,
    ) -> "BranchingSampler":
        """Makes the sampler of all decoders with the same constants."""
        if self.temperature == 0:
            return GreedySampler(
                num_return_sequences, stop_token_ids, max_tokens
            )
        return TokenSampler(
            num_return_sequences,
            top_k=self.top_k,
            top_p=self.top_p,
            stop_token_ids=stop_token_ids,
            max_tokens=max_tokens,
        )

    def prepare(
        self, sampler: "BranchingSampler", seed: int, batch: int | None = None
    ) -> None:
        """Sets a sampler to this decoder, and its seed for a batch."""
        sampler.prepare(seed, self.temperature, self.top_p, batch=batch)


@dataclasses.dataclass(frozen=True)
class BeamSearch:
    """Beam search with a length penalty.

    Several samples of a prompt are its best texts, the best one first.

    Attributes:
        num_beams: Texts that are continued side by side.
        length_penalty: The exponent of the length that log-probabilities are
            divided by, see `BeamSearcher`. At 0, short texts win.

    Raises:
        ValueError: If there is no beam, or the penalty is below 0.

    Example:
    ```python
    keras_irl.generation.BeamSearch().name  # "beam 4 penalty 0.6"
    ```
    """

    num_beams: int = 4
    length_penalty: float = 0.6

    def __post_init__(self):
        checked = check_beams(self.num_beams, self.length_penalty)
        for name, value in zip(vars(self), checked, strict=True):
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """Name of the decoding strategy, as in tables."""
        return (
            f"beam {self.num_beams} penalty {number_text(self.length_penalty)}"
        )

    @property
    def is_random(self) -> bool:
        """False: a search always finds the same."""
        return False

    @property
    def constants(self) -> tuple[Any, ...]:
        """Settings that a sampler is compiled with; others share it."""
        return "beams", self.num_beams

    def num_return_sequences(self, num_samples: int, batch_size: int) -> int:
        """Rows of a prompt in one batch."""
        num_samples = check_integer("num_samples", num_samples, least=1)
        if num_samples > self.num_beams:
            raise ValueError(
                "A search returns at most as many texts as it has beams. "
                "Raise `num_beams` or ask for fewer samples. "
                f"Received: num_samples={num_samples}, "
                f"num_beams={self.num_beams}"
            )
        return self.num_beams

    @renamed_arguments("0.3", num_branches="num_return_sequences")
    def make_sampler(
        self,
        num_return_sequences: int,
        stop_token_ids: Sequence[int],
        max_tokens: int | None = None,
    ) -> BeamSearcher:
        """Makes the searcher of all decoders with as many beams."""
        return BeamSearcher(
            num_return_sequences,
            stop_token_ids=stop_token_ids,
            max_tokens=max_tokens,
        )

    def prepare(
        self, sampler: "BranchingSampler", seed: int, batch: int | None = None
    ) -> None:
        """Sets a searcher to this decoder; it needs no seed."""
        sampler.prepare(self.length_penalty)


# How a policy is decoded, with all settings.
Decoder: TypeAlias = Sampling | BeamSearch


def as_decoder(decoder: Any) -> Decoder:
    """Makes a decoder of a number, which is a temperature.

    Args:
        decoder: A number of at least 0, or a `Sampling` or `BeamSearch`.

    Returns:
        A `Sampling` or `BeamSearch`.

    Example:
    >>> as_decoder(0.7) == Sampling(0.7)
    True
    """
    if isinstance(decoder, (Sampling, BeamSearch)):
        return decoder
    return Sampling(temperature=decoder)


_ONE = numbers.Real | Sampling | BeamSearch


def decoders_of(
    temperatures: Sequence[float] | None = None,
    decoders: Sequence[Decoder] | None = (),
    defaults: Sequence[float] = (),
) -> list[Decoder]:
    """Makes the decoders of `sweep`, from temperatures and decoders.

    Args:
        temperatures: Sequence of numbers of at least 0. Like `decoders`, it
            may hold either. Defaults to `None`.
        decoders: Sequence of decoders, or `None` for none. Defaults to none.
        defaults: The temperatures if both are absent. Defaults to none.

    Returns:
        List of decoders.

    Raises:
        ValueError: If they are no sequence, one is neither or out of its
            range, or a name occurs twice.
    """
    given = [
        _listed(values)
        for values in (temperatures, decoders)
        if values is not None
    ]
    if not any(given) and temperatures is None:
        given = [defaults]
    found = [_decoder(value) for values in given for value in values]
    names = [decoder.name for decoder in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            "The same decoding twice tells nothing new. "
            f"Received: {', '.join(twice)} more than once in {names}"
        )
    return found


def _listed(values):
    try:
        if not isinstance(values, _ONE):
            return list(values)
    except TypeError:
        pass  # A single number, for example.
    raise ValueError(
        "Temperatures and decoders are given as a list, also a single one. "
        f"Received: {shortened(values)}"
    )


def temperature_of(decoder: Decoder) -> float | None:
    """The temperature of a decoder, or `None` where it has none."""
    if isinstance(decoder, Sampling):
        return float(decoder.temperature)
    return None


def name_of(row: Mapping[str, Any]) -> str:
    """The name of a row's decoding; rows of old have a temperature only."""
    if "decoder" in row:
        return row["decoder"]
    return as_decoder(row["temperature"]).name


def _decoder(value):
    if not isinstance(value, _ONE):
        raise ValueError(
            "A sweep decodes at temperatures, or by decoders of "
            f"`keras_irl.generation`. Received: {shortened(value)}"
        )
    return as_decoder(value)
