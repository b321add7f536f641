"""Maximum likelihood training."""

from typing import TYPE_CHECKING
from typing import Any

import keras

from keras_irl.losses.mle import check_entropy_weight
from keras_irl.losses.mle import entropy_loss
from keras_irl.losses.mle import mle_loss
from keras_irl.trainers.trainer import Trainer
from keras_irl.trainers.value_offset import ValueOffset
from keras_irl.types import Policy
from keras_irl.types import Tensor

if TYPE_CHECKING:
    from keras_irl.ops.statistics import TokenStatistics


@keras.saving.register_keras_serializable(package="keras_irl")
class MLE(Trainer):
    """Imitates demonstrations by maximum likelihood, the common fine-tuning.

        loss = mean of −log π(aₜ | sₜ) − w H(π(· | sₜ))

    With an entropy weight it is the diversity baseline of the paper. What is
    logged is described in `Trainer`; the term of the bonus is `entropy_loss`.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`, the model to
            train.
        entropy_weight: The weight w of the entropy bonus. Defaults to 0.
        discount: The discount factor γ of the `reward` that is logged, r = Q −
            γ V', to be compared with other trainers. The loss has none.
            Defaults to 0.99.
        value_offset: What is added to the values that are logged; see
            `keras_irl.Trainer`. Defaults to 0.
        **kwargs: Passed to `keras.Model`.

    Raises:
        ValueError: If `policy` is not a language model of keras-hub, or
            a number is out of its range.

    Example:
    ```python
    trainer = keras_irl.MLE(policy)
    trainer.compile(optimizer="adam")
    trainer.fit(keras_irl.data.demonstrations(policy, prompts, responses, 32))
    ```

    References:
        - [Wulfmeier et al., 2024](https://arxiv.org/abs/2409.01369), eq. 18.
    """

    loss_names = ("negative_log_likelihood", "entropy_loss")

    def __init__(
        self,
        policy: Policy,
        entropy_weight: float = 0.0,
        discount: float = 0.99,
        value_offset: float | str | ValueOffset = 0.0,
        **kwargs: Any,
    ) -> None:
        entropy_weight = check_entropy_weight(entropy_weight)
        super().__init__(policy, discount, value_offset, **kwargs)
        self.entropy_weight = entropy_weight

    def token_losses(
        self,
        statistics: "TokenStatistics",
        mask: Tensor,
        *,
        continues: Tensor | None = None,
    ) -> dict[str, Tensor]:
        return {
            "negative_log_likelihood": mle_loss(
                statistics.action_values, statistics.values
            ),
            "entropy_loss": entropy_loss(
                statistics.entropies, self.entropy_weight
            ),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "entropy_weight": self.entropy_weight}
