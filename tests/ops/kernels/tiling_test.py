import math

import pytest

from keras_irl.ops.kernels.tiling import ACCELERATOR
from keras_irl.ops.kernels.tiling import NEGLIGIBLE
from keras_irl.ops.kernels.tiling import PROCESSOR
from keras_irl.ops.kernels.tiling import Tiling
from keras_irl.ops.kernels.tiling import block_size_of
from keras_irl.ops.kernels.tiling import fitting_tiles
from keras_irl.ops.kernels.tiling import num_kept_tiles


@pytest.mark.parametrize("num_tokens", [0, 1, 1023, 1024, 1025, 3000, 4097])
def test_blocks_are_equal_and_none_is_empty(num_tokens):
    size = block_size_of(num_tokens, 1024)
    assert 1 <= size <= 1024
    num_blocks = math.ceil(num_tokens / size)
    assert num_blocks == math.ceil(num_tokens / 1024)
    # The last one lacks fewer tokens than there are blocks.
    assert num_blocks * size - num_tokens < max(num_blocks, 2)


@pytest.mark.parametrize(
    ("vocabulary_size", "width", "expected"),
    [
        # A Gemma: 8 x 262,144 x 640 are more than 8,192 x 32,768.
        (262144, 640, 32768),
        # A T5 of 60 million: 8 x 32,128 x 512 are 16,064 entries a token.
        (32128, 512, 8192),
        (32768, 512, 8192),
        (32769, 512, 16384),
        # However small it is, as much as a processor.
        (8192, 8, 2048),
    ],
)
def test_a_tile_of_an_accelerator_holds_no_more_than_training_does(
    vocabulary_size, width, expected
):
    found = fitting_tiles(ACCELERATOR, vocabulary_size, width)
    assert found == (ACCELERATOR.block_size, expected)
    assert fitting_tiles(PROCESSOR, vocabulary_size, width) == PROCESSOR


@pytest.mark.parametrize(
    ("vocabulary_size", "tile_size", "num_tiles"),
    [(10, 5, 2), (11, 5, 3), (4, 4, 1)],
)
def test_the_last_tile_may_be_a_smaller_one(
    vocabulary_size, tile_size, num_tiles
):
    tiling = Tiling(vocabulary_size, 8, tile_size)
    assert tiling.num_tiles == num_tiles
    # What all tiles may hold, together.
    total = num_tiles * math.exp(tiling.log_negligible)
    assert total == pytest.approx(NEGLIGIBLE)


@pytest.mark.parametrize(
    ("num_tokens", "width", "expected"),
    [
        # 4 x 1,024 entries of the kernel for each of the vocabulary.
        (4096, 1024, 8),
        (8192, 1024, 4),
        # A tile is kept whole or not at all.
        (9216, 1024, 3),
        (2**20, 1024, 0),
        (64, 512, 8),
        # There, a product costs no more than a look.
        (64, 256, 0),
    ],
)
def test_no_more_logits_are_kept_than_adam_holds_of_the_head(
    num_tokens, width, expected
):
    tiling = Tiling(8192, block_size=64, tile_size=1024)
    assert num_kept_tiles(tiling, num_tokens, width) == expected
