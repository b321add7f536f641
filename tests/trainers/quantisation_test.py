import functools

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora
from keras_irl.models import vocabulary_head


def first_gradient(policy, dataset):
    """How a step of plain gradient descent moves the adapters."""
    # Adapters start at zero on one side; the other alone has a gradient.
    before = [numpy(variable) for variable in policy.trainable_variables]
    trainer = keras_irl.IQLearn(policy, td_weight=0.1)
    trainer.compile(keras.optimizers.SGD(1.0))
    trainer.fit(dataset, verbose=0)
    moved = [
        numpy(variable) - start
        for variable, start in zip(
            policy.trainable_variables, before, strict=True
        )
    ]
    return np.concatenate([array.ravel() for array in moved])


def kernel_bytes(policy):
    return sum(
        numpy(variable).nbytes
        for variable in policy.variables
        if variable.name == "kernel"
    )


@functools.cache
def adapted_gradient(mode=None):
    """The first gradient of adapters, and how large the kernels are."""
    keras.utils.set_random_seed(3)
    policy = quick_start(tiny_gpt2())
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    # The layers of the preprocessor can't be quantised unbuilt.
    policy = type(policy)(policy.backbone, preprocessor=None)
    enable_lora(policy, rank=4)
    if mode is not None:
        policy.quantize(
            mode, filters=lambda layer: "embedding" not in layer.name
        )
    frozen = [numpy(v) for v in policy.non_trainable_variables]
    gradient = first_gradient(policy, dataset)
    for variable, start in zip(
        policy.non_trainable_variables, frozen, strict=True
    ):
        np.testing.assert_array_equal(numpy(variable), start)
    return gradient, kernel_bytes(policy)


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_adapters_on_a_quantised_base_learn_as_on_the_full_one(mode):
    (full, num_bytes), (quantised, fewer) = (
        adapted_gradient(),
        adapted_gradient(mode),
    )
    assert fewer <= {"int8": 0.26, "int4": 0.14}[mode] * num_bytes
    cosine = full @ quantised / np.linalg.norm(full) / np.linalg.norm(quantised)
    assert cosine > {"int8": 0.99, "int4": 0.8}[mode]


def test_a_quantised_head_is_refused():
    policy = quick_start(tiny_gpt2())
    policy = type(policy)(policy.backbone, preprocessor=None)
    policy.quantize("int8", filters=lambda layer: "embed" in layer.name)
    with pytest.raises(ValueError, match="head is quantised.*Received: quanti"):
        vocabulary_head(policy)
