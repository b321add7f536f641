"""Policies, and readers of their rewards, that the tests of a file share."""

import pytest
from testing import quick_start
from testing import tiny_policy

from keras_irl.rewards import RewardReader


@pytest.fixture(scope="module", params=["t5", "gpt2"])
def policy(request):
    return quick_start(tiny_policy(request.param, num_layers=1))


@pytest.fixture(scope="module")
def reader(policy):
    """Two rows a batch: the last of three texts is padded with a copy."""
    return RewardReader(policy, discount=0.9, value_offset=0.5, batch_size=2)


@pytest.fixture(scope="module")
def gpt2():
    return quick_start(tiny_policy("gpt2", num_layers=1))


@pytest.fixture(scope="module")
def gpt2_reader(gpt2):
    return RewardReader(gpt2, discount=0.9, value_offset=0.5, batch_size=3)
