import threading

import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2

from keras_irl.data import demonstrations
from keras_irl.models import policy_reader
from keras_irl.models.policy_reader import PolicyReader
from keras_irl.models.policy_reader import lock_of
from keras_irl.ops import token_statistics


class ActionValues(PolicyReader):
    def call(self, batch):
        return self.statistics(*batch).action_values


@pytest.fixture(scope="module")
def policy():
    return quick_start(tiny_gpt2())


@pytest.mark.parametrize("tiles", [False, True])
def test_statistics_are_those_of_the_logits(policy, tiles, monkeypatch):
    if tiles:
        monkeypatch.setattr(policy_reader, "MIN_VOCABULARY_SIZE", 1)
    inputs, actions, mask = demonstrations(policy, PROMPTS, RESPONSES, 3)[0]
    reader = ActionValues(policy)
    assert reader.tiles_vocabulary == tiles
    found = numpy(reader.predict_on_batch((inputs, actions, mask)))
    expected = numpy(token_statistics(policy(inputs), actions).action_values)
    np.testing.assert_allclose(
        found[mask > 0], expected[mask > 0], rtol=1e-4, atol=1e-4
    )


def test_the_weights_are_those_of_the_moment(policy):
    batch = demonstrations(policy, PROMPTS, RESPONSES, 3)[0]
    reader = ActionValues(policy)
    before = numpy(reader.predict_on_batch(batch))
    variable = policy.trainable_variables[0]
    kept = numpy(variable)
    variable.assign(2.0 * kept)
    assert not np.allclose(before, numpy(reader.predict_on_batch(batch)))
    variable.assign(kept)


def test_a_policy_has_one_lock(policy):
    assert lock_of(policy) is lock_of(policy)
    assert lock_of(policy) is not lock_of(tiny_gpt2())
    with lock_of(policy), lock_of(policy):  # Whoever holds it may ask again.
        taken = []
        other = threading.Thread(
            target=lambda: taken.append(lock_of(policy).acquire(timeout=0.01))
        )
        other.start()
        other.join()
    assert taken == [False]


def test_a_reader_is_made_anew_where_it_is_copied(policy):
    kind, arguments = ActionValues(policy).__reduce__()
    assert kind is ActionValues and arguments == (policy,)
