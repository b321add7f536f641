"""A policy's reward as a plain function, for other libraries to maximize."""

import warnings
from collections.abc import Callable
from collections.abc import Sequence

from keras_irl.data.tokenization import text_packer
from keras_irl.error_texts import shortened
from keras_irl.rewards.text_batches import TextBatches
from keras_irl.rewards.text_batches import check_finished
from keras_irl.rewards.text_batches import check_texts
from keras_irl.rewards.token_rewards import RewardReader
from keras_irl.types import Policy


class ResponseTruncator:
    """Cuts responses to the maximum sequence length of a policy.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
    """

    def __init__(self, policy: Policy) -> None:
        self._packer = text_packer(policy)

    def __call__(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> tuple[list[str], list[bool]]:
        """Cuts those responses that are too long.

        Args:
            prompts: List of strings.
            responses: List of strings, as long.

        Returns:
            The responses, a list of strings, and whether each was cut, a list
            of booleans. A response to a prompt that leaves no room for any is
            returned as it is.
        """
        texts = [
            self._cut(*pair) for pair in zip(prompts, responses, strict=True)
        ]
        are_cut = [a != b for a, b in zip(texts, responses, strict=True)]
        return texts, are_cut

    def _cut(self, prompt, response):
        packer = self._packer
        room = packer.max_length - packer.prefix_length(self._length(prompt))
        tokens = self._tokens(response)
        if room < 1 or len(tokens) <= room:
            return response
        text = response
        # Other tokens may be found in a text than it was made of.
        while self._length(text) > room:
            tokens = tokens[: min(room, len(tokens) - 1)]
            text = self._text(tokens)
        return text

    def _tokens(self, text):
        # Not all tokenizers take a list of nothing but an empty text.
        return self._packer.tokenize([text])[0] if text else []

    def _length(self, text):
        return len(self._tokens(text))

    def _text(self, tokens):
        # Nor all a list without tokens.
        if not tokens:
            return ""
        return str(self._packer.tokenizer.detokenize([tokens])[0])


def check_prompts(policy: Policy, prompts: Sequence[str]) -> None:
    """Checks that prompts leave room for a response.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        prompts: List of strings.

    Raises:
        ValueError: If one does.
    """
    batches = TextBatches(policy, 1)
    check_texts(prompts, prompts)
    responses = [""] * len(prompts)
    next(batches(prompts, responses, [True] * len(prompts)))


def as_scorer(
    policy: Policy,
    discount: float | None = None,
    value_offset: float | str | None = None,
    batch_size: int = 32,
) -> Callable[[Sequence[str], Sequence[str]], list[float]]:
    """Makes a reward function of a policy.

    The function takes prompts and responses and returns the accumulated reward
    of each, in nats. It compiles once, and always reads the policy's current
    weights: to hold a reward fixed while its policy is trained on, give a copy.

    It can be called as the reward functions of TRL's `GRPOTrainer` are: with
    the keywords `prompts` and `completions`, and further columns, which are
    ignored. Both must be lists of strings, not of chat messages.
    `benchmarks/scorer_in_trl.py` is a training with it.

    What a training may come up with has a score too:

    - A response that was cut has none for an end token that nobody wrote: say
      which ended with `finished`, a boolean for each. Without it, every
      response is taken to have ended by itself.
    - Of a response longer than the policy's window, what fits is scored, as a
      text that was cut. The first time, this warns.
    - A response that was cut before it had a token has the score 0, the sum
      of no rewards.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM` with its
            preprocessor, or a trainer of one.
        discount: The discount factor γ, in `[0, 1]`. Defaults to `None`, for
            that of the trainer, and 0.99 without one.
        value_offset: What is added to all values, in nats. Defaults to `None`,
            for that of the trainer, and 0 without one.
        batch_size: Rows of every batch. Defaults to 32.

    Returns:
        A function `accumulated_reward(prompts, responses)` that returns a list
        of floats.

    Raises:
        ValueError: If an argument is out of its range. The function raises
            one if a text is no string, if a prompt leaves no room in the
            window for a response, or if `finished` does not fit.

    Example:
    ```python
    score = keras_irl.rewards.as_scorer(trainer)
    score(["2 + 3 ="], ["5"])
    GRPOTrainer(model, reward_funcs=[score], train_dataset=dataset)
    ```
    """
    reader = RewardReader(policy, discount, value_offset, batch_size)
    cutter = _WarningTruncator(reader.policy)

    def accumulated_reward(
        prompts, responses=None, completions=None, finished=None, **others
    ):
        # TRL passes all columns of its data set.
        del others
        if (responses is None) == (completions is None):
            raise ValueError(
                "Pass either `responses` or, as TRL does, `completions`. "
                f"Received: responses={shortened(responses, 100)}, "
                f"completions={shortened(completions, 100)}"
            )
        texts = completions if responses is None else responses
        prompts, texts = check_texts(prompts, texts)
        _check_strings(texts)
        ended = check_finished(finished, len(texts))
        texts, ended = cutter(prompts, texts, ended)
        return _totals(reader, prompts, texts, ended)

    return accumulated_reward


def _check_strings(texts):
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(
                "A scorer takes responses as strings; for token ids, use a "
                "`keras_irl.rewards.RewardReader`. "
                f"Received: responses[{row}]={shortened(text)}"
            )


class _WarningTruncator(ResponseTruncator):
    """Warns of the first response that it cuts."""

    has_warned = False

    def __call__(self, prompts, responses, finished):
        texts, are_cut = super().__call__(prompts, responses)
        if any(are_cut) and not self.has_warned:
            self.has_warned = True
            row = are_cut.index(True)
            warnings.warn(
                "A response is longer than the window of the policy that "
                "rewards it: what fits is scored, of this one and of those to "
                "come. Widen `policy.preprocessor.sequence_length`, or let "
                "responses be shorter. "
                f"Received: responses[{row}]={shortened(responses[row])}",
                stacklevel=3,
            )
        ended = [
            has_ended and not is_cut
            for has_ended, is_cut in zip(finished, are_cut, strict=True)
        ]
        return texts, ended


def _totals(reader, prompts, texts, finished):
    scores = [0.0] * len(texts)
    rows = [row for row in range(len(texts)) if texts[row] or finished[row]]
    if rows:
        columns = ([x[row] for row in rows] for x in (prompts, texts, finished))
        for row, text in zip(rows, reader(*columns), strict=True):
            scores[row] = text.total
    return scores
