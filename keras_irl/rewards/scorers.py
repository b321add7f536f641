"""A policy's reward as a plain function, for other libraries to maximise."""

import warnings

from keras_irl.arguments import shortened
from keras_irl.rewards.fitting import ResponseCutter
from keras_irl.rewards.reward_reader import RewardReader
from keras_irl.rewards.texts import check_finished
from keras_irl.rewards.texts import check_texts


def as_scorer(policy, discount=None, value_offset=None, batch_size=32):
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
    cutter = _WarningCutter(reader.policy)

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


class _WarningCutter(ResponseCutter):
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
