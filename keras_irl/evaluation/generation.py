"""Responses of a policy, in compiled batches of one shape.

Greedy decoding and sampling at any temperature run through one compiled
function. New weights, a last partial batch and another number of samples
compile nothing either.
"""

import contextlib
import dataclasses
import time

import keras_hub
import numpy as np
import tqdm
from keras import ops

from keras_irl.evaluation.prompts import encode_prompts
from keras_irl.evaluation.temperature_sampler import TemperatureSampler


@dataclasses.dataclass(frozen=True)
class Responses:
    """What a policy answered to `P` prompts, `K` times each.

    Attributes:
        texts: `P` lists of `K` strings, without prompt and special tokens.
        finished: Bool array `(P, K)`: whether the policy ended the text with
            its end token. Where False, the window cut the text.
        num_tokens: Int array `(P, K)`: the tokens that were generated, the
            end token among them.
        seconds: Wall-clock time, of which the first call spends some on
            compiling.
    """

    texts: list
    finished: np.ndarray
    num_tokens: np.ndarray
    seconds: float

    @property
    def tokens_per_second(self):
        """Generated tokens per second, over all rows of a batch."""
        return float(self.num_tokens.sum() / self.seconds)


class ResponseSampler:
    """Answers prompts with a policy, again and again, compiled once.

    The policy is only borrowed: its sampler, its compiled `generate` and its
    compile state are the same before and after a call. In a callback, reach
    the policy through `self.model`, which hands it its current weights on
    JAX. After `quantize` or `enable_lora`, make a new one.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor.
        max_length: The window in tokens: of prompt and response for a
            `CausalLM`, of the response for a `Seq2SeqLM`. Defaults to
            that of the preprocessor.
        batch_size: Rows of every batch. Defaults to 32.

    Raises:
        ValueError: If the policy has no preprocessor, or if `max_length` or
            `batch_size` is below 1.

    Example:
    ```python
    sampler = keras_irl.evaluation.ResponseSampler(policy, max_length=64)
    greedy = sampler(prompts, temperature=0.0)
    diverse = sampler(prompts, temperature=1.0, num_samples=8)
    diverse.texts[0]  # Eight answers to the first prompt.
    ```
    """

    def __init__(self, policy, max_length=None, batch_size=32):
        if policy.preprocessor is None:
            raise ValueError(
                "To answer prompts, `policy` must have a preprocessor: build "
                "it with `preprocessor=...`. Received: policy.preprocessor=None"
            )
        self.policy = policy
        self.tokenizer = policy.preprocessor.tokenizer
        is_seq_2_seq = isinstance(policy, keras_hub.models.Seq2SeqLM)
        self._prefix = "decoder_" if is_seq_2_seq else ""
        if max_length is None:
            max_length = policy.preprocessor.sequence_length
        self.max_length = _at_least(1, max_length=max_length)
        self.batch_size = _at_least(1, batch_size=batch_size)
        self._sampler = TemperatureSampler()
        self._generate = None

    def __call__(self, prompts, temperature=1.0, num_samples=1, seed=0):
        """Answers every prompt `num_samples` times.

        Args:
            prompts: A list of strings.
            temperature: What the logits are divided by; 0 is greedy decoding.
                Defaults to 1.0.
            num_samples: Responses per prompt. Defaults to 1.
            seed: Equal seeds give equal responses from equal weights, and
                share their noise between temperatures and policies. Batches
                have independent noise. Defaults to 0.

        Returns:
            `Responses`, in the order of the prompts.

        Raises:
            ValueError: If there are no prompts, one of them is no string or
                fills the window, an argument is out of range, or the
                policy's logits are not finite.
        """
        _at_least(0.0, temperature=temperature)
        _at_least(1, num_samples=num_samples)
        _at_least(0, seed=seed)
        inputs = encode_prompts(self.policy, prompts, self.max_length)
        lengths = inputs[self._prefix + "padding_mask"].sum(axis=1)
        # Rows are prompt 0 sample 0, prompt 0 sample 1, and so on.
        rows = np.repeat(np.arange(len(prompts)), num_samples)
        start = time.perf_counter()
        tokens = []
        for batch, batch_rows in self._batches(rows):
            self._sampler.prepare(temperature, seed=(seed, batch))
            ids = self._generate_batch(inputs, batch_rows)
            tokens += [
                self._response(row, length)
                for row, length in zip(ids, lengths[batch_rows], strict=True)
            ]
        seconds = time.perf_counter() - start
        return self._pack(tokens, num_samples, seconds)

    def _batches(self, rows):
        """Numbers and rows of the batches; the last may hold fewer rows."""
        with tqdm.tqdm(
            total=len(rows),
            desc="Generating",
            unit="response",
            leave=False,
            disable=None,
        ) as progress:
            for start in range(0, len(rows), self.batch_size):
                batch_rows = rows[start : start + self.batch_size]
                yield start // self.batch_size, batch_rows
                progress.update(len(batch_rows))

    def _generate_batch(self, inputs, rows):
        """Token ids of the given rows, prefix and response, `(rows, T)`."""
        # Copies of a row fill a partial batch up: another shape would compile.
        filled = np.resize(rows, self.batch_size)
        batch = {
            name: ops.convert_to_tensor(array[filled])
            for name, array in inputs.items()
        }
        with self._borrowed_policy() as generate:
            outputs = generate(
                batch, stop_token_ids=(int(self.tokenizer.end_token_id),)
            )
        num_broken_states = int(
            ops.convert_to_numpy(self._sampler.num_broken_states.value)
        )
        if num_broken_states:
            raise ValueError(
                "The policy's logits are not finite, so that its responses "
                "would be garbage. Did its training diverge? "
                f"Received: num_broken_states={num_broken_states}"
            )
        ids = ops.convert_to_numpy(outputs[self._prefix + "token_ids"])
        return ids[: len(rows)]

    @contextlib.contextmanager
    def _borrowed_policy(self):
        """Lends the policy our sampler, and yields the compiled function."""
        names = ("sampler", "generate_function")
        attributes = vars(self.policy)
        before = {n: attributes[n] for n in names if n in attributes}
        self.policy.sampler = self._sampler
        self.policy.generate_function = self._generate
        try:
            self._generate = self.policy.make_generate_function()
            yield self._generate
        finally:
            for name in names:
                # A policy built with `compile=False` has neither.
                delattr(self.policy, name)
                if name in before:
                    setattr(self.policy, name, before[name])

    def _response(self, ids, prefix_length):
        """Token ids after the prefix, up to and with the end token."""
        response = ids[prefix_length:]
        # Whatever follows a row's first end token is garbage.
        (ends,) = np.nonzero(response == self.tokenizer.end_token_id)
        return response[: ends[0] + 1] if len(ends) else response

    def _pack(self, tokens, num_samples, seconds):
        special = self.tokenizer.special_token_ids
        texts = self.tokenizer.detokenize(
            [[int(i) for i in row if i not in special] for row in tokens]
        )
        finished = [row[-1] == self.tokenizer.end_token_id for row in tokens]
        texts = [str(text) for text in texts]
        return Responses(
            [
                texts[start : start + num_samples]
                for start in range(0, len(texts), num_samples)
            ],
            np.reshape(finished, (-1, num_samples)),
            np.reshape([len(row) for row in tokens], (-1, num_samples)),
            seconds,
        )


def sample_responses(
    policy,
    prompts,
    temperature=1.0,
    num_samples=1,
    max_length=None,
    batch_size=32,
    seed=0,
):
    """Answers every prompt `num_samples` times with a policy.

    Each call compiles once. To answer several times with one policy, keep a
    `ResponseSampler`, which describes the arguments, result and errors.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        prompts: A list of strings.
        temperature: 0 is greedy decoding. Defaults to 1.0.
        num_samples: Responses per prompt. Defaults to 1.
        max_length: The window in tokens. Defaults to the preprocessor's.
        batch_size: Rows of every batch. Defaults to 32.
        seed: Seed of the noise. Defaults to 0.

    Returns:
        `Responses`, in the order of the prompts.

    Example:
    ```python
    responses = keras_irl.evaluation.sample_responses(
        policy, ["The capital of France is"], num_samples=4
    )
    responses.texts[0]  # Four strings.
    responses.finished[0]  # Which of them the policy ended itself.
    ```
    """
    sampler = ResponseSampler(policy, max_length, batch_size)
    return sampler(prompts, temperature, num_samples, seed)


def _at_least(minimum, **argument):
    ((name, value),) = argument.items()
    if not minimum <= value < np.inf:
        raise ValueError(
            f"`{name}` must be a finite number, {minimum} or greater. "
            f"Received: {name}={value}"
        )
    return value
