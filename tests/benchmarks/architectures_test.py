"""Counts of weights and operations that floors and shares are made of."""

import pytest
from architectures import Sizes
from matrix_rate import floor_seconds


@pytest.mark.parametrize(
    ("name", "millions"),
    [("t5-60m", 60), ("t5-base", 223), ("gpt2-124m", 124), ("gemma-2b", 2506)],
)
def test_models_have_the_weights_of_their_names(name, millions):
    found = Sizes(name, 1, 1).num_parameters() / 1e6
    assert found == pytest.approx(millions, rel=0.01)


def test_a_step_multiplies_each_weight_three_times():
    sizes = Sizes("gpt2-124m", 4, 128)
    products = 6 * sizes.num_parameters() * 4 * 128
    # The rest are the pairs of tokens of attention.
    assert products < sizes.step_flops() < 1.03 * products


def test_a_floor_is_made_of_products_and_one_pass_of_adam():
    rates = {"flops_per_second": 100.0, "bytes_per_second": 28.0}
    assert floor_seconds(200, 3, rates) == 2.0 + 3.0
