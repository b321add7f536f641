import numpy as np
import pytest
from families import shared_policy
from testing import numpy
from testing import tiny_gpt2

from keras_irl.families.family import FAMILIES
from keras_irl.families.segments import check_segments
from keras_irl.families.segments import segmented_states


def test_each_text_of_a_row_is_read_as_if_it_were_alone():
    policy = tiny_gpt2()
    first, second = [5, 9, 7], [8, 6]
    inputs = {
        "token_ids": np.array([[*first, *second, 0]]),
        "segment_ids": np.array([[1, 1, 1, 2, 2, 0]]),
    }
    found = numpy(segmented_states(policy, inputs))
    for text, places in ((first, slice(0, 3)), (second, slice(3, 5))):
        alone = policy.backbone(
            {
                "token_ids": np.array([text]),
                "padding_mask": np.ones((1, len(text)), "bool"),
            }
        )
        np.testing.assert_allclose(
            found[:, places], numpy(alone), rtol=1e-4, atol=1e-5
        )


def test_a_family_that_cant_be_segmented_is_told_which_can():
    known = [name for name, family in FAMILIES.items() if family.segments]
    assert "GPT2CausalLM" in known and "T5Seq2SeqLM" not in known
    with pytest.raises(
        ValueError, match="can't be kept apart.*GPT2CausalLM.*type T5Seq2SeqLM"
    ):
        check_segments(shared_policy("t5"))
    assert check_segments(tiny_gpt2()) is None
