import families
import numpy as np
import pytest
import testing
from keras import ops

from keras_irl.generation import BeamSearcher
from keras_irl.generation import TokenSampler
from keras_irl.generation import drawn_mask
from keras_irl.generation import encode_prompts
from keras_irl.generation.drawing import CompiledSampler


def counted(policy, monkeypatch):
    """Makes a list of how many rows are encoded each time."""
    encode, rows = type(policy)._build_cache, []

    def count(self, *args, **kwargs):
        rows.append(ops.shape([*args, *kwargs.values()][0])[0])
        return encode(self, *args, **kwargs)

    monkeypatch.setattr(type(policy), "_build_cache", count)
    return rows


@pytest.mark.parametrize("family", families.FAMILIES)
def test_rows_of_a_prompt_share_its_encoding(family, monkeypatch):
    policy = families.family_policy(family, max_length=24)
    if family != "rwkv7":
        policy = testing.quick_start(policy)
    inputs = encode_prompts(policy, ["the fox", "the brown dog"], 24)
    stop = [policy.preprocessor.tokenizer.end_token_id]
    rows = counted(policy, monkeypatch)
    (one, several, one_beam) = (
        CompiledSampler(policy, sampler)(inputs)
        for sampler in (
            TokenSampler(1, 0.0, stop_token_ids=stop),
            TokenSampler(3, 0.0, stop_token_ids=stop),
            BeamSearcher(1, stop_token_ids=stop),
        )
    )
    assert rows == [2, 2, 2]
    mask = drawn_mask(
        ops.convert_to_tensor(one[:, 0]),
        {name: ops.convert_to_tensor(x) for name, x in inputs.items()},
        TokenSampler(stop_token_ids=stop),
    )
    mask = ops.convert_to_numpy(mask)
    assert mask.any(axis=1).all()
    for row in range(3):
        np.testing.assert_array_equal(several[:, row][mask], one[:, 0][mask])
    np.testing.assert_array_equal(one_beam[:, 0][mask], one[:, 0][mask])
