import keras
import pytest

from keras_irl.optimizers.token_weighted import TokenWeightedOptimizer
from keras_irl.optimizers.unwrapping import check_optimizer
from keras_irl.optimizers.unwrapping import inner_optimizer
from keras_irl.optimizers.unwrapping import token_weighted
from keras_irl.optimizers.unwrapping import wrapper_of


def test_an_optimizer_may_be_named_described_or_made():
    made = keras.optimizers.SGD(0.5)
    assert check_optimizer("optimizer", made) is made
    assert isinstance(check_optimizer("o", "adam"), keras.optimizers.Adam)
    again = check_optimizer("o", keras.optimizers.serialize(made))
    assert type(again) is type(made)
    assert float(again.learning_rate) == 0.5


@pytest.mark.parametrize("wrong", ["nothing", 3, None, {"class_name": "no"}])
def test_what_is_no_optimizer_is_refused(wrong):
    with pytest.raises(ValueError, match="`mine` must be.*Received: mine="):
        check_optimizer("mine", wrong)


def test_the_inner_optimizer_is_found_behind_all_wrappers():
    inner = keras.optimizers.SGD(0.1)
    wrapped = keras.optimizers.LossScaleOptimizer(TokenWeightedOptimizer(inner))
    assert inner_optimizer(wrapped) is inner
    assert inner_optimizer(inner) is inner
    assert inner_optimizer(None) is None


def test_weighing_by_tokens_goes_inside_loss_scaling():
    inner = keras.optimizers.SGD(0.1)
    plain = token_weighted(inner)
    assert wrapper_of(plain) is plain and plain.inner_optimizer is inner
    scaled = token_weighted(
        keras.optimizers.LossScaleOptimizer(
            inner, initial_scale=8.0, dynamic_growth_steps=5, name="scaled"
        )
    )
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert (scaled.initial_scale, scaled.dynamic_growth_steps) == (8.0, 5)
    assert scaled.name == "scaled"
    assert isinstance(wrapper_of(scaled), TokenWeightedOptimizer)
    assert inner_optimizer(scaled) is inner
    # What is wrapped twice is wrapped once.
    assert token_weighted(plain).inner_optimizer is inner
