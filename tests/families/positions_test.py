import pytest
import testing
from families import family_policy

from keras_irl.families.positions import num_positions
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
