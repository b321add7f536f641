"""Statistics on eight devices are those of one, and move nothing that is large.

Eight simulated devices: `conftest.py` asks XLA for them.
"""

import functools
import itertools
import re

import keras
import numpy as np
import pytest

from keras_irl.ops import VocabularyHead
from keras_irl.ops import decode_sample_weight
from keras_irl.ops import encode_sample_weight
from keras_irl.ops import tiled_token_statistics
from keras_irl.ops.kernels import jax_mesh

if keras.config.backend() != "jax":
    pytest.skip("Keras distributes on JAX alone.", allow_module_level=True)

import jax  # noqa: E402

B, T, D, V = 8, 12, 16, 640
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(B, T, D)).astype("float32")
ACTIONS = RANDOM.integers(0, V, (B, T))
MASK = (RANDOM.random((B, T)) < 0.6).astype("float32")
MASK[3, 7:] = 0.0
CONTINUES = MASK > 0
CONTINUES[3, 7] = True  # A text was cut.
WEIGHT = encode_sample_weight(MASK, CONTINUES)
KERNEL = RANDOM.normal(size=(V, D)).astype("float32")
BIAS = RANDOM.normal(size=V).astype("float32")
UPSTREAM = RANDOM.normal(size=(3, B, T)).astype("float32")
# Axis names of a mesh, and which of them divides the vocabulary.
MESHES = {
    "data parallel": ((8,), ["batch"], None),
    "fsdp": ((8,), ["batch"], "batch"),
    "tensor": ((2, 4), ["batch", "model"], "model"),
    "tensor, head whole": ((2, 4), ["batch", "model"], None),
    "fsdp of two axes": ((2, 4), ["batch", "model"], "batch"),
}
# A vocabulary that does not divide lies divided along the hidden states.
EXCHANGED = {
    "fsdp": ((8,), ["batch"], "batch"),
    "another axis": ((2, 4), ["batch", "model"], "model"),
}
HEADS = {
    "VD": {},
    "DV": {"axes": "DV"},
    "bias": {"bias": BIAS},
    "soft cap": {"soft_cap": 5.0},
    "frozen": {"bias": BIAS, "soft_cap": 5.0, "is_trained": False},
}


@pytest.fixture(autouse=True)
def no_distribution_is_left():
    yield
    keras.distribution.set_distribution(None)


class Program:
    """Statistics and gradients of a batch, compiled for a mesh or none."""

    def __init__(
        self,
        head,
        mesh=None,
        num_rows=B,
        hidden=HIDDEN,
        size=V,
        along="V",
    ):
        axes = head.get("axes", "VD")
        if mesh is not None:
            shape, names, divides = mesh
            device_mesh = keras.distribution.DeviceMesh(shape, names)
            layouts = keras.distribution.LayoutMap(device_mesh)
            layout = [None, None]
            layout[axes.index(along)] = divides
            layouts["kernel"] = tuple(layout)
            keras.distribution.set_distribution(
                keras.distribution.ModelParallel(
                    layout_map=layouts, batch_dim_name="batch"
                )
            )
        kernel = KERNEL[:size] if axes == "VD" else KERNEL[:size].T
        if "bias" in head:
            head = {**head, "bias": head["bias"][:size]}
        self.kernel = keras.Variable(kernel, name="kernel")
        rows = slice(0, num_rows)

        def loss(hidden, kernel, weight):
            mask, continues = decode_sample_weight(weight)
            with keras.StatelessScope([(self.kernel, kernel)]):
                found = tiled_token_statistics(
                    hidden,
                    VocabularyHead(self.kernel, **head),
                    ACTIONS[rows] % size,
                    mask,
                    tile_size=64,
                    continues=continues,
                )
            weighed = zip(found[:3], UPSTREAM[:, rows], strict=True)
            return sum((x * weight).sum() for x, weight in weighed), found

        step = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        hidden = hidden[rows]
        if mesh is not None and num_rows == B:
            layout = keras.distribution.TensorLayout(
                ("batch", None, None), device_mesh
            )
            hidden = keras.distribution.distribute_tensor(hidden, layout)
        given = (hidden, self.kernel.value, WEIGHT[rows])
        self.compiled = step.lower(*given).compile()
        (_, self.found), self.gradients = self.compiled(*given)
        self.given = given[:2]

    def numbers(self):
        return [np.asarray(x) for x in (*self.found, *self.gradients)]

    def collectives(self):
        """The kind and the number of entries of each, where it stands."""
        pattern = r"= \(?(.+?)\)? (all-[\w-]+|reduce-scatter|collective-\w+)\("
        for line in self.compiled.as_text().splitlines():
            for shapes, kind in re.findall(pattern, line):
                for shape in re.findall(r"\[([\d,]*)\]", shapes):
                    sizes = [int(size) for size in shape.split(",") if size]
                    yield kind, int(np.prod(sizes)), line


@functools.cache
def program(head, mesh=None, **sizes):
    """The program of a head, a mesh and their sizes, compiled once."""
    return Program(HEADS[head], mesh and MESHES[mesh], **sizes)


# One head on every mesh, and every head on two that lay it out otherwise.
QUICK = [
    *((mesh, "VD") for mesh in MESHES),
    *((mesh, "DV") for mesh in ("fsdp", "tensor")),
    *((mesh, "bias") for mesh in ("fsdp of two axes", "tensor")),
    *((mesh, "soft cap") for mesh in ("data parallel", "fsdp")),
    *((mesh, "frozen") for mesh in ("tensor", "tensor, head whole")),
]
CASES = [
    case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
    for case in itertools.product(MESHES, HEADS)
]


@pytest.mark.parametrize(("mesh", "head"), CASES)
def test_devices_compute_what_one_does(mesh, head):
    expected = program(head).numbers()
    found = program(head, mesh).numbers()
    for one, many in zip(expected, found, strict=True):
        np.testing.assert_allclose(many, one, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize("mesh", MESHES)
def test_rows_that_do_not_divide_are_on_every_device(mesh):
    expected = program("VD", num_rows=3).numbers()
    found = program("VD", mesh, num_rows=3).numbers()
    for one, many in zip(expected, found, strict=True):
        np.testing.assert_allclose(many, one, atol=3e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("mesh", "head"),
    [
        ("fsdp", "DV"),
        ("fsdp", "frozen"),
        ("another axis", "bias"),
        # Of these, the others have what there is: a kernel, a bias, a cap.
        *(
            pytest.param("fsdp", head, marks=pytest.mark.slow)
            for head in ("VD", "bias", "soft cap")
        ),
    ],
)
def test_a_vocabulary_that_does_not_divide_is_exchanged(mesh, head):
    expected = program(head, size=V - 3).numbers()
    found = Program(
        HEADS[head], EXCHANGED[mesh], size=V - 3, along="D"
    ).numbers()
    for one, many in zip(expected, found, strict=True):
        np.testing.assert_allclose(many, one, atol=3e-5, rtol=1e-5)


def test_devices_without_an_entry_add_nothing():
    # Of nine entries, two each, the last three of eight devices have none. All
    # logits are so low that the padding would be likeliest.
    head = {"bias": BIAS - 300.0}
    expected = Program(head, size=9).numbers()
    found = Program(head, EXCHANGED["fsdp"], size=9, along="D").numbers()
    assert expected[1][MASK > 0].max() < -200.0
    for one, many in zip(expected, found, strict=True):
        np.testing.assert_allclose(many, one, atol=2e-4, rtol=1e-5)


@pytest.mark.parametrize("name", EXCHANGED)
def test_an_exchanged_head_is_on_no_device_as_a_whole(name):
    exchanged = Program({}, EXCHANGED[name], size=V - 3, along="D")
    text = exchanged.compiled.as_text()
    for size in (V - 3, V):
        assert f"[{size},{D}]" not in text and f"[{D},{size}]" not in text
    found = list(exchanged.collectives())
    assert "all-to-all" in {kind for kind, _, _ in found}
    lines = [line for _, _, line in found]
    assert [line for line in lines if "while/body" in line] == []
    layout = exchanged.kernel.value.sharding
    assert exchanged.gradients[1].sharding.is_equivalent_to(layout, 2)


@pytest.mark.parametrize("name", ["fsdp", "tensor", "fsdp of two axes"])
def test_a_divided_head_is_never_put_together(name):
    found = program("VD", name)
    text = found.compiled.as_text()
    assert f"[{V},{D}]" not in text and f"[{D},{V}]" not in text
    # Rows are divided besides, so that gradients of a part are added up.
    num_parts = {"fsdp": 8, "tensor": 4, "fsdp of two axes": 2}[name]
    largest = max(size for _, size, _ in found.collectives())
    assert largest <= max(B * T * D, V * D // num_parts)
    layout = found.kernel.value.sharding
    assert found.gradients[1].sharding.is_equivalent_to(layout, 2)


@pytest.mark.parametrize("mesh", MESHES)
def test_no_device_waits_for_another_within_the_tiles(mesh):
    # The name of an operation tells the loops that it was traced in.
    found = program("VD", mesh)
    assert "while/body" in found.compiled.as_text()
    lines = [line for _, _, line in found.collectives()]
    assert [line for line in lines if "while/body" in line] == []


def test_what_stands_on_padding_reaches_nothing():
    broken = HIDDEN.copy()
    broken[~CONTINUES] = np.nan
    expected = program("VD").numbers()
    found = Program({}, MESHES["tensor"], hidden=broken).numbers()
    for one, many in zip(expected, found, strict=True):
        np.testing.assert_allclose(many, one, atol=3e-5, rtol=1e-5)


# Parts of the vocabulary, and the tokens of a device, of 96 in all.
WORK = {
    "data parallel": (1, 12),
    "fsdp": (8, 96),
    "tensor": (4, 48),
    "tensor, head whole": (1, 48),
}


@pytest.mark.parametrize(
    "mesh",
    [
        "fsdp",
        pytest.param("tensor", marks=pytest.mark.slow),
        pytest.param("data parallel", marks=pytest.mark.slow),
        pytest.param("tensor, head whole", marks=pytest.mark.slow),
    ],
)
def test_devices_walk_past_the_tokens_that_count_and_no_others(
    mesh, monkeypatch
):
    num_parts, num_tokens = WORK[mesh]
    num_tiles = -(-(V // num_parts) // 64)
    one_a_row = np.zeros((B, T))
    one_a_row[:, 0] = 1.0
    num_rows = num_tokens // T
    # Blocks of four tokens each.
    cases = [
        (np.ones((B, T)), num_tokens // 4),
        (one_a_row, -(-num_rows // 4)),
        (np.zeros((B, T)), 0),
    ]
    monkeypatch.setattr(jax_mesh, "block_size_of", lambda *_: 4)
    monkeypatch.setattr(jax_mesh.kernels, "HeadTiles", CountingTiles)
    found = Program({}, MESHES[mesh])
    for mask, num_blocks in cases:
        jax.effects_barrier()
        CountingTiles.count = 0
        found.compiled(*found.given, mask.astype("float32"))
        jax.effects_barrier()
        # Forwards and backwards, on each of eight devices.
        assert CountingTiles.count == 2 * 8 * num_tiles * num_blocks


class CountingTiles(jax_mesh.kernels.HeadTiles):
    """A head that counts the tiles whose logits are computed."""

    count = 0

    def logits(self, hidden, number):
        jax.debug.callback(self.visit)
        return super().logits(hidden, number)

    @staticmethod
    def visit():
        CountingTiles.count += 1
