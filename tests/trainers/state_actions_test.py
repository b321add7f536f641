import keras
import numpy as np
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import tiny_gpt2
from testing import tiny_t5

from keras_irl.data import demonstrations
from keras_irl.trainers.state_actions import one_position_more
from keras_irl.trainers.state_actions import state_action_texts


def data(policy):
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)


def test_texts_hold_every_state_and_the_last_action():
    for policy in (tiny_t5(), tiny_gpt2()):
        inputs, actions, mask = data(policy)[0]
        texts = keras.tree.map_structure(
            numpy, state_action_texts(inputs, actions, mask)
        )
        prefix = "decoder_" if "decoder_token_ids" in inputs else ""
        ids, is_real = (
            texts[prefix + name] for name in ("token_ids", "padding_mask")
        )
        for row in range(3):
            given = inputs[prefix + "token_ids"][row]
            given = given[inputs[prefix + "padding_mask"][row]]
            last = actions[row][mask[row] > 0][-1]
            np.testing.assert_array_equal(
                ids[row][is_real[row]], [*given, last]
            )


def test_positions_go_on_where_there_are_any():
    positions = np.array([[0, 1, 2], [4, 5, 6]], "int32")
    inputs = {"token_ids": positions + 7, "position_ids": positions}
    (found,) = one_position_more(inputs).values()
    np.testing.assert_array_equal(numpy(found), [[0, 1, 2, 3], [4, 5, 6, 7]])
    assert one_position_more({"token_ids": positions}) == {}
