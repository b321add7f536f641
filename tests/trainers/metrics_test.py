"""What every trainer logs, as loops over the tokens that count."""

import numpy as np
import pytest

from keras_irl.ops import TokenMask
from keras_irl.ops import TokenStatistics
from keras_irl.trainers.metrics import MaskedMean
from keras_irl.trainers.metrics import Perplexity
from keras_irl.trainers.metrics import add_tokens

NAMES = ("token_accuracy", "entropy", "reward", "start_value", "my_loss")
DISCOUNT = 0.9


def batch(seed, lengths):
    """Numbers of texts that begin at the second place, and their mask."""
    generator = np.random.default_rng(seed)
    shape = (len(lengths), 5)
    places = np.arange(5)[None]
    ends = 1 + np.array(lengths)[:, None]
    mask = np.logical_and(places >= 1, places < ends).astype("float32")
    numbers = generator.normal(size=(5, *shape)).astype("float32")
    return TokenStatistics(*numbers[:4]), numbers[4], mask


def expected(batches):
    """The mean over the tokens of all batches, in loops."""
    tokens = {name: [] for name in (*NAMES, "log_prob")}
    for (taken, values, entropies, hits), losses, mask in batches:
        for row, column in zip(*mask.nonzero(), strict=True):
            here = row, column
            goes_on = column + 1 < 5 and mask[row, column + 1]
            after = values[row, column + 1] if goes_on else 0.0
            tokens["token_accuracy"].append(hits[here])
            tokens["entropy"].append(entropies[here])
            tokens["reward"].append(taken[here] - DISCOUNT * after)
            tokens["my_loss"].append(losses[here])
            tokens["log_prob"].append(taken[here] - values[here])
            if column == 1:
                tokens["start_value"].append(values[here])
    means = {name: np.mean(numbers) for name, numbers in tokens.items()}
    return means | {"perplexity": np.exp(-means.pop("log_prob"))}


def test_means_are_over_all_tokens_and_start_values_over_texts():
    means = {name: MaskedMean(name) for name in NAMES}
    means["perplexity"] = Perplexity("perplexity")
    batches = [batch(0, [3, 1]), batch(1, [2, 4, 1])]
    for statistics, losses, mask in batches:
        masks = TokenMask(mask, mask > 0)
        add_tokens(
            means, statistics, {"my_loss": losses}, masks, discount=DISCOUNT
        )
    for name, value in expected(batches).items():
        assert float(means[name].result()) == pytest.approx(value, rel=1e-5)


def test_the_mean_of_nothing_is_nan():
    assert np.isnan(float(MaskedMean("nothing").result()))
    assert np.isnan(float(Perplexity("nothing").result()))
