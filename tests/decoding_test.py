import importlib

import pytest

import keras_irl


def test_an_old_room_is_the_new_one_and_says_so():
    with pytest.warns(DeprecationWarning, match="keras_irl.generation"):
        old = importlib.reload(importlib.import_module("keras_irl.decoding"))
    assert old.TokenSampler is keras_irl.generation.TokenSampler
    assert old.draw is keras_irl.generation.draw
