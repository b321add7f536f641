"""Losses of a method on a family of policies, under a strategy.

    KERAS_BACKEND=jax XLA_FLAGS=--xla_force_host_platform_device_count=8 \\
        python tests/matrix.py MLE IQLearn    # Or other methods; all by default

prints for every cell of the matrix how far the losses of eight devices are from
those of one.
"""

import itertools
import sys

import keras
import numpy as np
from families import family_policy
from family_table import NO_DEMONSTRATIONS
from meshes import assert_divided
from meshes import distributed
from testing import StepLosses
from testing import quick_start

import keras_irl
from keras_irl.data import demonstrations

PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 2
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 2


def _gail(policy):
    # Of ten steps the policy is to be trained in nine.
    return keras_irl.GAIL(
        policy, policy_gradient=keras_irl.PolicyGradient(warmup_steps=1)
    )


METHODS = {
    "MLE": keras_irl.MLE,
    "IQLearn": keras_irl.IQLearn,
    "OnlineIQLearn": keras_irl.OnlineIQLearn,
    "GAIL": _gail,
}
# As large as it takes that devices hold parts of it, whatever the strategy.
SIZES = {"gemma": {"num_query_heads": 4, "intermediate_dim": 64}}
FAMILIES = ("t5", "bart", "gpt2", "gemma", "llama")
STRATEGIES = ("data parallel", "fsdp", "tensor")


def losses(method, family, strategy, tiled=True, num_steps=10):
    """The losses of each of some steps; one device where there is no strategy.

    Rollouts are drawn with the same noise, and a start of real weights keeps
    apart what tokens are likely, so that rounding chooses no other. Devices
    hold parts of the policy in the end, as the strategy says.
    """
    keras.utils.set_random_seed(0)
    with distributed(strategy):
        policy = family_policy(family, max_length=24, **SIZES.get(family, {}))
        policy = quick_start(policy)
        trainer = METHODS[method](policy)
        # Some gradients are 0 but for rounding, such as that of the bias of a
        # discriminator which knows nothing yet: Adam's first step would have
        # the length of all others, and a direction that rounding chose.
        adam = keras.optimizers.Adam(1e-3, epsilon=1e-5)
        trainer.compile(adam, tile_vocabulary=tiled)
        steps = StepLosses()
        options = {"verbose": 0, "callbacks": [steps]}
        if family in NO_DEMONSTRATIONS:
            batch = batch_by_hand(policy)
            trainer.fit(**batch, batch_size=8, epochs=num_steps, **options)
        else:
            data = demonstrations(policy, PROMPTS, RESPONSES, 8)
            stream = data.batches(0, num_steps)
            trainer.fit(stream, steps_per_epoch=num_steps, **options)
            steps.losses = own_losses(steps.losses)
        assert_divided(policy, strategy)
    return steps.losses


def own_losses(means):
    """The loss of each step, of means over it and all those before it."""
    counts = np.arange(1, len(means) + 1)
    return np.diff(means * counts, prepend=0.0).tolist()


def difference(found, expected):
    """The largest relative difference of two lists of losses."""
    found, expected = np.array(found), np.array(expected)
    return float(np.max(np.abs(found - expected) / np.abs(expected)))


def batch_by_hand(policy, width=24):
    """What `fit` takes of texts that keras-hub's preprocessor can't make."""
    tokenizer = policy.preprocessor.tokenizer
    tokens = np.zeros((len(PROMPTS), width + 1), "int32")
    mask = np.zeros((len(PROMPTS), width), "float32")
    for row, pair in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        prompt, response = ([int(i) for i in tokenizer(x)] for x in pair)
        text = [*prompt, *response, tokenizer.end_token_id][: width + 1]
        tokens[row, : len(text)] = text
        mask[row, len(prompt) - 1 : len(text) - 1] = 1.0
    inputs = {"token_ids": tokens[:, :-1], "padding_mask": tokens[:, 1:] != 0}
    return {"x": inputs, "y": tokens[:, 1:], "sample_weight": mask}


def main(methods):
    print("| method | family | statistics | " + " | ".join(STRATEGIES) + " |")
    print("|---" * (3 + len(STRATEGIES)) + "|")
    for method, family, tiled in itertools.product(
        methods or METHODS, FAMILIES, (True, False)
    ):
        expected = losses(method, family, None, tiled)
        found = [
            f"{difference(losses(method, family, name, tiled), expected):.1e}"
            for name in STRATEGIES
        ]
        kind = "tiled" if tiled else "plain"
        print("|", " | ".join([method, family, kind, *found]), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
