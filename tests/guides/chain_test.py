"""The chain of guide 6: what its cells define, tested one by one."""

import pathlib
import re
import types

import keras
import numpy as np
import pytest
from testing import numpy

from keras_irl.ops import CONTINUES

PATH = pathlib.Path(__file__).parents[2] / "guides/06_online_and_gail.py"


def load():
    """A module of the cells that are about the chain."""
    text = PATH.read_text("utf-8")
    cells = re.findall(
        r"^# %% tags=\[\"chain\"\]\n(.*?)(?=^# %%)", text, re.M | re.S
    )
    module = types.ModuleType("chain")
    exec(compile("\n".join(cells), str(PATH), "exec"), vars(module))
    return module


guide = load()
# All that the tests train has one shape, so that it is compiled once a kind.
SETTING = guide.Setting(num_seeds=20, num_steps=300)


@pytest.mark.parametrize(
    "top, expected",
    [
        # Three columns: bottom 0-2, top 3-5, the goal 6, off the chain 7.
        ("return", [[0, 3], [1, 4], [2, 5]]),
        ("fall", [[0, 7], [1, 7], [2, 7]]),
        ("onward", [[4, 4], [5, 5], [7, 7]]),
    ],
)
def test_the_top_row_decides_what_becomes_of_a_mistake(top, expected):
    table = guide.Chain(num_columns=3, top=top).next_states()
    np.testing.assert_array_equal(table[:3], [[1, 3], [2, 4], [6, 5]])
    np.testing.assert_array_equal(table[3:6], expected)
    np.testing.assert_array_equal(table[6:], [[6, 6], [7, 7]])


def test_one_action_in_ten_is_another_than_wanted():
    chain = guide.Chain(num_columns=40)
    forward = np.tile([1.0, 0.0], (2, chain.num_states, 1))
    generator = np.random.default_rng(0)
    happened = guide.roll_out(chain, forward, 500, generator)
    wanted = guide.roll_out(
        chain._replace(records="wanted"), forward, 500, generator
    )
    steps = happened.mask > 0
    assert happened.actions[steps].mean() == pytest.approx(0.1, abs=0.01)
    assert wanted.actions[wanted.mask > 0].max() == 0
    # What happened leads to the next state, whatever was wanted.
    led_to = chain.next_states()[happened.states, happened.actions][..., :-1]
    np.testing.assert_array_equal(led_to, happened.states[..., 1:])
    assert (wanted.states == 40).any()


def test_a_rollout_has_ended_at_the_goal_and_goes_on_where_it_was_cut():
    chain = guide.Chain(num_columns=5, slip=0.0)
    policies = np.zeros((2, chain.num_states, 2))
    policies[0, :, 0] = policies[1, :, 1] = 1.0
    ended, cut = guide.roll_out(chain, policies, 1, np.random.default_rng(0))[2]
    np.testing.assert_array_equal(ended, [[1, 1, 1, 1, 1, 0, 0]])
    assert not np.signbit(ended).any()
    np.testing.assert_array_equal(cut, [[1, 1, 1, 1, 1, 1, CONTINUES]])
    assert np.signbit(cut[0, -1])


def test_the_loss_is_that_of_loops_over_tables_rollouts_and_steps():
    chain, discount, mix_in, td_weight = guide.Chain(4), 0.9, 0.3, 0.5
    generator = np.random.default_rng(0)
    tables = generator.standard_normal((3, chain.num_states, 2))
    model = guide.QTables(tables, mix_in, td_weight, discount)
    states, actions, mask = (
        np.concatenate(pair, axis=1)
        for pair in zip(
            guide.demonstrate(chain, 3)[:3],
            guide.roll_out(chain, model.policies(), 6, generator)[:3],
            strict=True,
        )
    )
    assert np.signbit(mask).any()
    loss = model.compute_loss(
        y=actions,
        y_pred=model(states),
        sample_weight=keras.ops.convert_to_tensor(mask),
    )
    expected = 0.0
    for seed in range(3):
        nlls, demonstrated, acted = [], [], []
        for row in range(7):
            for step in np.flatnonzero(mask[seed, row] > 0):
                state, after = states[seed, row, step : step + 2]
                value, value_after = (
                    np.log(np.sum(np.exp(tables[seed, s])))
                    for s in (state, after)
                )
                if after >= chain.goal:
                    value_after = 0.0
                taken = tables[seed, state, actions[seed, row, step]]
                penalty = (taken - discount * value_after) ** 2
                if row == 0:
                    nlls.append(value - taken)
                (acted if row else demonstrated).append(penalty)
        expected += np.mean(nlls) + td_weight * (
            (1 - mix_in) * np.mean(demonstrated) + mix_in * np.mean(acted)
        )
    assert float(numpy(loss)) == pytest.approx(expected, rel=1e-5)


def test_acting_helps_where_one_can_recover_and_only_there():
    gaps = {}
    for top in ("return", "onward"):
        offline, online = guide.offline_and_online(
            guide.Chain(top=top), SETTING
        )
        gaps[top] = guide.interval(online[-1] - offline[-1])
        if top == "return":
            # Without a clue about the top, half of all fail.
            assert 0.4 < offline[-1].mean() < 0.6
        else:
            _, low, high = guide.interval(offline[-1])
            offline_error = (high - low) / 2
    # The paper: more than 11 points; within the confidence bounds.
    assert gaps["return"][1] > 0.11
    _, low, high = gaps["onward"]
    assert max(-low, high) < offline_error


def intervals(text):
    """Every `15 [14, 16]` or `15 points [14, 16]`, as three numbers."""
    text = re.sub(r"\s+", " ", text).replace("−", "-")
    number = r"(-?\d+(?:\.\d+)?)"
    found = re.findall(rf"{number}(?: points)? \[{number}, {number}\]", text)
    return np.array(found, float)


@pytest.mark.slow
def test_the_table_of_what_the_gap_depends_on_is_so():
    told = intervals(PATH.read_text("utf-8").partition("| changed")[2])
    gaps = guide.compare_settings(guide.Setting())
    assert len(told) == len(guide.CHANGES)
    # Written to a whole point, but for the last.
    rounded = np.append(np.full(len(told) - 1, 0.6), 0.15)[:, None]
    found = 100 * np.array(list(gaps.values()))
    assert (abs(found - told) < rounded).all(), found


@pytest.mark.slow
def test_the_chains_end_as_the_text_says(tmp_path):
    text = PATH.read_text("utf-8").partition("After 2,000 steps")[2]
    gap, *ends = intervals(text.partition("In the bottom row")[0])
    curves = guide.compare_chains(
        tmp_path / "chain.png", guide.Setting(num_steps=2000)
    )
    offline, online = (curve[-1] for curve in curves["return"])
    assert abs(100 * np.array(guide.interval(online - offline)) - gap).max() < 1
    found = [guide.interval(curve[-1]) for curve in curves["onward"]]
    np.testing.assert_allclose(100 * np.array(found), ends, atol=0.15)


def test_the_tables_and_the_picture_are_made(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        guide,
        "CHANGES",
        {"no way back": (guide.Chain(top="onward"), {"td_weight": 0.2})},
    )
    setting = SETTING._replace(num_steps=4)
    guide.compare_chains(tmp_path / "chain.png", setting, num_measurements=4)
    guide.compare_settings(setting)
    printed = capsys.readouterr().out
    for text in ('top="fall"', "After 1 steps", "After 4 steps", "no way back"):
        assert text in printed
    assert (tmp_path / "chain.png").read_bytes().startswith(b"\x89PNG")
