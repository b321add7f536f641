"""A check that the initial policy of GAIL was pretrained."""

import math
import warnings

import keras

from keras_irl.types import Logs


class InitialPolicyCheck(keras.callbacks.Callback):
    """Warns where a policy was not trained on the demonstrations by likelihood.

    It can't know, but it looks at the first batch. A policy that was finds the
    tokens about as unlikely as its own entropy says, a fraction of what a
    uniform policy does, and writes texts that end, of about their length.

    Args:
        vocabulary_size: Number of tokens.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.uniform = math.log(vocabulary_size)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if epoch > 0:
            # It goes on from what GAIL made of it.
            self.uniform = None

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self.uniform is None:
            return
        assert logs is not None  # Keras has some after every batch.
        likelihood = float(logs["negative_log_likelihood"])
        entropy = float(logs["entropy"])
        finished = float(logs["rollout_finished"])
        expected = float(logs["demonstration_length"])
        length = float(logs["rollout_length"]) / max(expected, 1.0)
        is_unlikely = likelihood > min(0.5 * self.uniform, entropy + 1.0)
        if is_unlikely or finished < 0.5 or not 0.5 <= length <= 2.0:
            warnings.warn(
                "The policy seems not to have been trained on these "
                "demonstrations by maximum likelihood: their tokens cost it "
                f"{likelihood:.2f} nats each (its own entropy is {entropy:.2f},"
                f" a uniform policy has {self.uniform:.2f}), it ends "
                f"{finished:.0%} of its texts, and they are {length:.1f} times "
                "as long as the demonstrations. A discriminator tells such "
                "texts apart at once and teaches it nothing, so GAIL gets "
                "unstable. Train it with `keras_irl.MLE(policy)` first.",
                stacklevel=2,
            )
        # Only the first batch shows the policy as it was.
        self.uniform = None


class WarmupCheck(keras.callbacks.Callback):
    """Warns where a training ends before the policy has been updated once.

    Args:
        warmup_steps: Number of first updates that leave the policy alone.
    """

    def __init__(self, warmup_steps: int) -> None:
        super().__init__()
        self.warmup_steps = warmup_steps

    def on_train_end(self, logs: Logs = None) -> None:
        step = int(self.model.step.numpy())
        if step <= self.warmup_steps:
            warnings.warn(
                "The policy is what it was: its training begins after a "
                f"warm-up of {self.warmup_steps} updates for discriminator and "
                f"value function, of which {step} are done; `gradient_norm` is "
                "0 until then. Train for longer, which goes on from here, or "
                "shorten it: `policy_gradient=keras_irl.PolicyGradient("
                "warmup_steps=...)`.",
                stacklevel=2,
            )
