"""Losses of a method on a family of policies, under a strategy."""

import keras
from families import family_policy
from meshes import distributed
from testing import StepLosses
from testing import quick_start

import keras_irl
from keras_irl.data import demonstrations

PROMPTS = ["the fox", "the brown dog", "the quick fox", "a dog"] * 2
RESPONSES = ["jumps", "is lazy", "over the dog", "barks"] * 2
METHODS = {
    "MLE": keras_irl.MLE,
    "IQLearn": keras_irl.IQLearn,
    "OnlineIQLearn": keras_irl.OnlineIQLearn,
    "GAIL": keras_irl.GAIL,
}
FAMILIES = ("t5", "bart", "gpt2", "gemma", "llama")


def losses(method, family, strategy, tiled=True, num_steps=10):
    """The losses of each of some steps; one device where there is no strategy.

    Rollouts are drawn with the same noise, and a start of real weights keeps
    apart what tokens are likely, so that rounding chooses no other.
    """
    keras.utils.set_random_seed(0)
    with distributed(strategy):
        policy = quick_start(family_policy(family, max_length=24))
        trainer = METHODS[method](policy)
        # Some gradients are 0 but for rounding, such as that of the bias of a
        # discriminator which knows nothing yet: Adam's first step would have
        # the length of all others, and a direction that rounding chose.
        adam = keras.optimizers.Adam(1e-3, epsilon=1e-5)
        trainer.compile(adam, tile_vocabulary=tiled)
        data = demonstrations(policy, PROMPTS, RESPONSES, 8)
        steps = StepLosses()
        trainer.fit(
            data.batches(0, num_steps),
            steps_per_epoch=num_steps,
            verbose=0,
            callbacks=[steps],
        )
    return steps.losses
