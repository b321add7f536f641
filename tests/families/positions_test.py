import numpy as np
import pytest
import testing
from families import family_policy

from keras_irl.families.positions import num_positions
from keras_irl.families.positions import one_position_more
from keras_irl.families.positions import reads_positions


@pytest.mark.parametrize(("family", "number"), [("gpt2", 64), ("t5", None)])
def test_only_policies_that_embed_positions_have_a_number_of_them(
    family, number
):
    policy = testing.tiny_policy(family, num_layers=1)
    assert num_positions(policy) == number
    if number is not None:
        # It is that of the table.
        shapes = {tuple(weight.shape) for weight in policy.backbone.weights}
        assert (number, policy.backbone.hidden_dim) in shapes


@pytest.mark.parametrize(
    ("family", "reads"), [("gpt2", False), ("gemma4", True)]
)
def test_gemma4_alone_is_told_where_its_tokens_stand(family, reads):
    assert reads_positions(family_policy(family)) == reads


def test_positions_go_on_where_there_are_any():
    positions = np.array([[0, 1, 2], [4, 5, 6]], "int32")
    inputs = {"token_ids": positions + 7, "position_ids": positions}
    (found,) = one_position_more(inputs).values()
    np.testing.assert_array_equal(
        testing.numpy(found), [[0, 1, 2, 3], [4, 5, 6, 7]]
    )
    assert one_position_more({"token_ids": positions}) == {}
