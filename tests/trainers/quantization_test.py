import functools
import gc

import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import enable_lora
from keras_irl.models import vocabulary_head

ADAPTED = [
    ("gpt2", "int8", False),
    ("gpt2", "int4", False),
    ("gpt2", "int8", True),
    ("t5", "int8", False),
]


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


def is_quantized(layer):
    # T5 looks up its relative positions in a table too.
    return "embedding" not in layer.name and "bias" not in layer.name


def quantize(policy, mode, filters):
    # Keras collects garbage once a layer, which takes nearly all of the time
    # where there is much to look through.
    gc.freeze()
    policy.quantize(mode, filters=filters)
    gc.unfreeze()


@functools.cache
def adapted_gradient(family="gpt2", mode=None, is_first=False):
    """The first gradient of adapters, and how large the kernels are.

    `is_first` quantizes before there are adapters, else after.
    """
    keras.utils.set_random_seed(3)
    policy = quick_start(tiny_policy(family, num_layers=1))
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    # The layers of the preprocessor can't be quantized unbuilt.
    policy = type(policy)(policy.backbone, preprocessor=None)
    if is_first:
        quantize(policy, mode, is_quantized)
    keras.utils.set_random_seed(4)
    enable_lora(policy, rank=4)
    if mode is not None and not is_first:
        quantize(policy, mode, is_quantized)
    frozen = [numpy(v) for v in policy.non_trainable_variables]
    gradient = first_gradient(policy, dataset)
    for variable, start in zip(
        policy.non_trainable_variables, frozen, strict=True
    ):
        np.testing.assert_array_equal(numpy(variable), start)
    return gradient, kernel_bytes(policy)


@pytest.mark.parametrize(("family", "mode", "is_first"), ADAPTED)
def test_adapters_on_a_quantized_base_learn_as_on_the_full_one(
    family, mode, is_first
):
    (full, num_bytes), (quantized, fewer) = (
        adapted_gradient(family),
        adapted_gradient(family, mode, is_first),
    )
    assert fewer <= {"int8": 0.26, "int4": 0.14}[mode] * num_bytes
    cosine = full @ quantized / np.linalg.norm(full) / np.linalg.norm(quantized)
    assert cosine > {"int8": 0.99, "int4": 0.8}[mode]


def test_a_quantized_head_is_refused():
    policy = quick_start(tiny_gpt2(num_layers=1))
    policy = type(policy)(policy.backbone, preprocessor=None)
    quantize(policy, "int8", lambda layer: "embed" in layer.name)
    with pytest.raises(ValueError, match="head is quantized.*Received: quanti"):
        vocabulary_head(policy)
