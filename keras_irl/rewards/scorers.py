"""A policy's reward as a plain function, for other libraries to maximise."""

from keras_irl.rewards.reward_reader import RewardReader
from keras_irl.rewards.token_rewards import totals


def as_scorer(policy, discount=None, value_offset=None, batch_size=32):
    """Makes a reward function of a policy.

    The function takes prompts and responses and returns the accumulated reward
    of each, in nats. It compiles once, and always reads the policy's current
    weights: to hold a reward fixed while its policy is trained on, give a copy.

    It can be called as the reward functions of TRL's `GRPOTrainer` are: with
    the keywords `prompts` and `completions`, and further columns, which are
    ignored. Both must be lists of strings, not of chat messages.

    Every response is taken to have ended by itself. To mind those that were
    cut, or to see single tokens, use `keras_irl.rewards.RewardReader`.

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
            one if a text is no string or does not fit the policy's window.

    Example:
    ```python
    score = keras_irl.rewards.as_scorer(trainer)
    score(["2 + 3 ="], ["5"])
    GRPOTrainer(model, reward_funcs=[score], train_dataset=dataset)
    ```
    """
    reader = RewardReader(policy, discount, value_offset, batch_size)

    def accumulated_reward(prompts, responses=None, completions=None, **others):
        # TRL passes all columns of its data set.
        del others
        if (responses is None) == (completions is None):
            raise ValueError(
                "Pass either `responses` or, as TRL does, `completions`. "
                f"Received: responses={responses!r:.100}, "
                f"completions={completions!r:.100}"
            )
        texts = completions if responses is None else responses
        return totals(reader(prompts, texts))

    return accumulated_reward
