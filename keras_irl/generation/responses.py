"""Sampled responses of a policy, in compiled batches of few shapes."""

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_irl.aliases import renamed_arguments
from keras_irl.arguments import MAX_BATCH_SIZE
from keras_irl.arguments import MAX_LENGTH
from keras_irl.arguments import check_attributes
from keras_irl.arguments import check_integer
from keras_irl.columns import column
from keras_irl.error_texts import shortened
from keras_irl.families.family import check_language_model
from keras_irl.families.family import nearest_family
from keras_irl.generation.decoders import as_decoder
from keras_irl.generation.drawing import CompiledSampler
from keras_irl.generation.entropies import EntropyReader
from keras_irl.generation.prompts import LengthBuckets
from keras_irl.generation.prompts import encode_prompts
from keras_irl.models.policy_reader import lock_of
from keras_irl.runtime.progress import progress_bar
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    import keras_hub

    from keras_irl.generation.decoders import Decoder


@dataclasses.dataclass(frozen=True)
class Responses:
    """Answers of a policy to `P` prompts, `K` times each.

    Attributes:
        texts: `P` lists of `K` strings, without prompt, special tokens and
            what was given as a stop.
        finished: Bool array `(P, K)`: whether the policy ended the text, with
            its end token or a stop. Where False, `max_length` or
            `max_response_length` cut the text.
        num_tokens: Int array `(P, K)`: the tokens that were generated, the
            end token or stop among them.
        seconds: Wall-clock time, of which the first call spends some on
            compiling.
        token_ids: `P` lists of `K` int arrays, the `num_tokens` tokens that
            were generated. The last is the end token where the policy wrote
            it; a stop is no end token. The texts alone do not tell these:
            other tokens may spell the same text. Defaults to `None`, not
            known.

    Example:
    >>> found = Responses([["5", "6"]], np.array([[True, False]]),
    ...                   np.array([[2, 8]]), seconds=0.5)
    >>> found.tokens_per_second
    20.0
    """

    texts: list
    finished: np.ndarray
    num_tokens: np.ndarray
    seconds: float
    token_ids: list | None = None

    @property
    def tokens_per_second(self) -> float:
        """Generated tokens per second, over all rows of a batch."""
        return float(self.num_tokens.sum() / self.seconds)


_SEQUENCES = list | tuple | set | frozenset | np.ndarray


class WrittenTexts(NamedTuple):
    """Texts of generated tokens.

    Attributes:
        texts: List of strings.
        ended: List of booleans, whether each has ended.
        lengths: List of the numbers of tokens of each, up to its end and with
            that.
    """

    texts: list
    ended: list
    lengths: list


class _Batch(NamedTuple):
    """Rows of prompts, their width, and how many rows they are filled to."""

    rows: Any
    width: int
    num_prompts: int


class _Plan(NamedTuple):
    """The compiled function, its length buckets, and their batches."""

    compiled: CompiledSampler
    buckets: LengthBuckets
    batches: list


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

    def __init__(
        self,
        tokenizer: "keras_hub.tokenizers.Tokenizer",
        stop: Sequence[str] = (),
    ) -> None:
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

    def cut_tokens(self, ids: np.ndarray) -> np.ndarray:
        """Cuts token ids `(T,)` behind the first that ends the text."""
        # Whatever follows it is garbage.
        (ends,) = np.nonzero(np.isin(ids, self.token_ids))
        return ids[: ends[0] + 1] if len(ends) else ids

    def read(self, rows: Sequence[np.ndarray]) -> WrittenTexts:
        """Decodes the tokens that `cut_tokens` returned.

        Args:
            rows: List of int arrays.

        Returns:
            `WrittenTexts`.
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
        return WrittenTexts(texts, ended, lengths)

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


class ResponseSampler:
    """Answers prompts with a policy, again and again, compiled once.

    Temperatures above 0, seeds, penalties and weights share a compiled
    function. So that a prompt is encoded once however many samples it has,
    each number of samples has a function of its own, as have greedy decoding,
    sampling with a `top_p`, each `top_k` and each number of beams. A function
    compiles for at most `num_buckets` widths.

    The policy is only borrowed: its sampler, its compiled `generate` and its
    compile state are the same before and after a call. In a callback, reach
    the policy through `self.model`, which hands it its current weights on
    JAX. After `quantize` or `enable_lora`, make a new one.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor.
        max_length: The sequence length in tokens: of prompt and response for a
            `CausalLM`, of the response for a `Seq2SeqLM`. Defaults to
            that of the preprocessor.
        batch_size: Rows of every batch at most: prompts times samples.
            Defaults to 32.
        stop: Strings that end a response, and ids of tokens that do, beside
            the end token. They are no part of the response. Where a string is
            a token, generating ends there too. Defaults to none.
        max_response_length: Tokens of a response at most. It lets a
            `CausalLM` answer short prompts in shorter sequences. Defaults to
            `None`, for what the sequence length leaves.
        num_buckets: Widths to compile for at most: the sequence length, a
            half, a quarter, and so on, each as soon as four batches fit in it.
            Defaults to 4.

    Raises:
        ValueError: If the policy has no preprocessor, if `max_length`,
            `batch_size`, `max_response_length` or `num_buckets` is below 1,
            or if `stop` is one string or has an entry that is empty.

    Example:
    ```python
    sampler = keras_irl.generation.ResponseSampler(policy, max_length=64)
    greedy = sampler(prompts, temperature=0.0)
    diverse = sampler(prompts, temperature=1.0, num_samples=8)
    diverse.texts[0]  # Eight answers to the first prompt.
    best = sampler(prompts, decoder=keras_irl.generation.BeamSearch())
    ```
    """

    @renamed_arguments("0.3", num_windows="num_buckets")
    def __init__(
        self,
        policy: Policy,
        max_length: int | None = None,
        batch_size: int = 32,
        stop: Sequence[str] = (),
        *,
        max_response_length: int | None = None,
        num_buckets: int = 4,
    ) -> None:
        check_language_model(policy, needs_preprocessor=True)
        self.policy = policy
        self.tokenizer = policy.preprocessor.tokenizer
        if max_length is None:
            max_length = policy.preprocessor.sequence_length
        self.max_length = check_integer("max_length", max_length, 1, MAX_LENGTH)
        self.batch_size = check_integer(
            "batch_size", batch_size, 1, MAX_BATCH_SIZE
        )
        self.num_buckets = check_integer("num_buckets", num_buckets, least=1)
        if max_response_length is not None:
            max_response_length = check_integer(
                "max_response_length", max_response_length, least=1
            )
        self.max_response_length = max_response_length
        self._stops = Stops(self.tokenizer, stop)
        self._compiled: dict[Any, CompiledSampler] = {}
        self._reader: Any = None

    def __call__(
        self,
        prompts: Sequence[str],
        temperature: float = 1.0,
        num_samples: int = 1,
        seed: int = 0,
        *,
        decoder: "Decoder | None" = None,
    ) -> Responses:
        """Answers every prompt `num_samples` times.

        Args:
            prompts: A list of strings.
            temperature: What the logits are divided by; 0 is greedy decoding.
                Defaults to 1.0.
            num_samples: Responses per prompt. Defaults to 1.
            seed: Equal seeds give equal responses from equal weights, and
                share their noise between temperatures and policies. Batches
                have independent noise. Defaults to 0.
            decoder: A `keras_irl.generation.Sampling` or `BeamSearch`, instead
                of the temperature. Defaults to `None`.

        Returns:
            `Responses`, in the order of the prompts.

        Raises:
            ValueError: If there are no prompts, one of them is no string or
                fills the sequence, an argument is out of range, a search has
                fewer beams than samples, or the policy's logits are not
                finite.
        """
        prompts = list(column("prompts", prompts))
        decoder = as_decoder(temperature if decoder is None else decoder)
        seed = check_integer("seed", seed)
        num_samples = check_integer("num_samples", num_samples, least=1)
        compiled, buckets, batches = self._plan(prompts, decoder, num_samples)
        tokens: list[list[Any]] = [[] for _ in prompts]
        start = time.perf_counter()
        total = len(prompts) * num_samples
        with progress_bar(
            what="Generating", unit="response", total=total
        ) as bar:
            for number, (rows, width, num_prompts) in enumerate(batches):
                with lock_of(self.policy):
                    decoder.prepare(compiled.sampler, seed, batch=number)
                    found = compiled(buckets.take(rows, width, num_prompts))
                for row, samples in zip(rows, found, strict=False):
                    tokens[row] += [
                        self._response(sample, buckets.starts[row])
                        for sample in samples
                    ]
                    bar.update(len(samples))
        seconds = time.perf_counter() - start
        return self._pack(
            [row for samples in tokens for row in samples[:num_samples]],
            num_samples,
            seconds,
        )

    def warm_up(
        self,
        prompts: Sequence[str],
        decoder: "Decoder | float",
        num_samples: int = 1,
    ) -> None:
        """Compiles all that a call with the same arguments needs.

        It answers a batch of each width, so that a later call takes the time
        of generating alone; not on PyTorch, where nothing is compiled.

        Args:
            prompts: A list of strings.
            decoder: A decoder, or a temperature.
            num_samples: Responses per prompt. Defaults to 1.
        """
        prompts = list(column("prompts", prompts))
        decoder = as_decoder(decoder)
        num_samples = check_integer("num_samples", num_samples, least=1)
        if keras.config.backend() == "torch":
            return  # It compiles nothing.
        compiled, buckets, batches = self._plan(prompts, decoder, num_samples)
        for rows, width, size in {
            batch[1]: batch for batch in batches
        }.values():
            decoder.prepare(compiled.sampler, seed=0)
            compiled(buckets.take(rows, width, size))

    def entropies(
        self, prompts: Sequence[str], responses: Responses
    ) -> Tensor | None:
        """Reads the entropies of the policy at the tokens of its responses.

        See `keras_irl.generation.entropies.EntropyReader`.

        Args:
            prompts: The list of strings that was answered.
            responses: The `Responses` to them of this sampler.

        Returns:
            Float64 array `(P, K)`, the entropies of the tokens of each
            response summed, in nats; or `None` if it can't be read.
        """
        if nearest_family(self.policy).reads_prompt_separately:
            return None
        if self._reader is None:
            self._reader = EntropyReader(
                self.policy, self.max_length, self.batch_size
            )
        check_attributes("responses", responses, ("token_ids",))
        return self._reader(
            list(column("prompts", prompts)), responses.token_ids
        )

    def _plan(self, prompts, decoder, num_samples):
        """Plans the batches in which prompts are answered."""
        num_return_sequences = decoder.num_return_sequences(
            num_samples, self.batch_size
        )
        num_prompts = max(1, self.batch_size // num_return_sequences)
        key = decoder.constants, num_return_sequences
        if key not in self._compiled:
            sampler = decoder.make_sampler(
                num_return_sequences,
                self._stops.token_ids,
                self.max_response_length,
            )
            self._compiled[key] = CompiledSampler(self.policy, sampler)
        inputs = encode_prompts(self.policy, prompts, self.max_length)
        buckets = LengthBuckets(inputs, self.max_response_length)
        batches = [
            _Batch(rows, width, num_prompts)
            for rows, width in buckets.batches(num_prompts, self.num_buckets)
            # Samples that are more than a batch holds take several.
            for _ in range(-(-num_samples // num_return_sequences))
        ]
        return _Plan(self._compiled[key], buckets, batches)

    def _response(self, ids, start):
        return self._stops.cut_tokens(ids[start:][: self.max_response_length])

    def _pack(self, tokens, num_samples, seconds):
        texts, finished, num_tokens = self._stops.read(tokens)
        written = [
            row[:length] for row, length in zip(tokens, num_tokens, strict=True)
        ]
        texts, written = (
            [
                rows[start : start + num_samples]
                for start in range(0, len(rows), num_samples)
            ]
            for rows in (texts, written)
        )
        return Responses(
            texts,
            np.reshape(finished, (-1, num_samples)),
            np.reshape(num_tokens, (-1, num_samples)),
            seconds,
            written,
        )


def sample_responses(
    policy: Policy,
    prompts: Sequence[str],
    temperature: float = 1.0,
    num_samples: int = 1,
    *,
    max_length: int | None = None,
    batch_size: int = 32,
    seed: int = 0,
    decoder: "Decoder | None" = None,
) -> Responses:
    """Answers every prompt `num_samples` times with a policy.

    Each call compiles anew. To answer several times with one policy, keep a
    `ResponseSampler`, which describes the arguments, result and errors.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        prompts: A list of strings.
        temperature: What the logits are divided by; 0 is greedy decoding.
            Defaults to 1.0.
        num_samples: Responses per prompt. Defaults to 1.
        max_length: The sequence length in tokens. Defaults to the
            preprocessor's.
        batch_size: Rows of every batch. Defaults to 32.
        seed: Seed of the noise. Defaults to 0.
        decoder: A `keras_irl.generation.Sampling` or `BeamSearch`, instead of
            the temperature. Defaults to `None`.

    Returns:
        `Responses`, in the order of the prompts.

    Example:
    ```python
    responses = keras_irl.generation.sample_responses(
        policy, ["The capital of France is"], num_samples=4
    )
    responses.texts[0]  # Four strings.
    responses.finished[0]  # Which of them the policy ended itself.
    ```
    """
    sampler = ResponseSampler(policy, max_length, batch_size)
    return sampler(prompts, temperature, num_samples, seed, decoder=decoder)
