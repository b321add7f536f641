"""The plan on paper: layouts, memory and step-time bounds on real machines.

Nothing runs: the variables of the real architectures are made without values,
and `keras_irl.distribution.Sharded` says what of each a device would hold.
"""

import dataclasses
import itertools
import math
from typing import NamedTuple

import keras
import keras_hub

from keras_irl.distribution import Sharded

# Of a parameter: float32 weight 4, two moments of Adam 8, gradient 4.
STATE_BYTES = 16
# The bfloat16 copy that a device computes with, where it holds all of it.
COPY_BYTES = 2
TOKENS_A_DEVICE = 4096


class Machine(NamedTuple):
    """Devices, by their makers' figures, which are assumptions here.

    Attributes:
        name: What it is called.
        num_devices: How many there are.
        memory: Bytes of a device.
        peak: Operations a second of a device, bfloat16.
        near: Bytes a second that a device sends along the model's axis.
        far: The same along the batch's axis.
    """

    name: str
    num_devices: int
    memory: float
    peak: float
    near: float
    far: float


MACHINES = [
    # Two links of 50 GB/s for each of the two directions of the torus.
    Machine("v5e-256", 256, 16e9, 197e12, 100e9, 100e9),
    # NVLink within eight, 400 Gbit/s of InfiniBand a device between them.
    Machine("64 H100", 64, 80e9, 989e12, 450e9, 50e9),
]


class Architecture(NamedTuple):
    """A policy of real size.

    Attributes:
        name: What it is called.
        make: A function that makes its backbone.
        num_layers: Blocks, of encoder and decoder together.
        width: The size D of a hidden state.
    """

    name: str
    make: object
    num_layers: int
    width: int


def gemma(**sizes):
    return keras_hub.models.GemmaBackbone(vocabulary_size=256_000, **sizes)


def gemma_2b():
    return gemma(
        num_layers=18,
        num_query_heads=8,
        num_key_value_heads=1,
        hidden_dim=2048,
        intermediate_dim=32_768,
        head_dim=256,
    )


def gemma_27b():
    return gemma(
        num_layers=46,
        num_query_heads=32,
        num_key_value_heads=16,
        hidden_dim=4608,
        intermediate_dim=73_728,
        head_dim=128,
        use_post_ffw_norm=True,
        use_post_attention_norm=True,
        final_logit_soft_cap=30.0,
        attention_logit_soft_cap=50.0,
    )


def t5_xxl():
    return keras_hub.models.T5Backbone(
        vocabulary_size=32_128,
        num_layers=24,
        num_heads=64,
        hidden_dim=4096,
        intermediate_dim=10_240,
        key_value_dim=64,
        activation="gelu",
        use_gated_activation=True,
        tie_embedding_weights=False,
    )


ARCHITECTURES = [
    Architecture("Gemma 2B", gemma_2b, 18, 2048),
    Architecture("Gemma 27B", gemma_27b, 46, 4608),
    Architecture("T5-XXL", t5_xxl, 48, 4096),
]
# How a mesh is laid out, by the devices of its model axis.
LAYOUTS = [("data", 1), ("fsdp", 1), ("tensor", 8), ("fsdp+tensor", 8)]


@dataclasses.dataclass
class Plan:
    """What a step of an architecture needs of a device.

    Attributes:
        memory: Bytes that it holds: state, copies and kept activations.
        traffic: Seconds that its exchanges take at least.
        compute: Seconds that its operations take at least.
    """

    memory: float
    traffic: float
    compute: float

    @property
    def bound(self):
        """Seconds of a step at least; exchanges hide behind operations."""
        return max(self.traffic, self.compute)


def backbone_of(architecture):
    """The backbone, whose variables have shapes and no values."""
    with keras.StatelessScope(initialize_variables=False):
        return architecture.make()


def held(backbone, strategy, mesh):
    """The parameters of which a device holds the state."""
    sizes = dict(zip(mesh.axis_names, mesh.shape, strict=True))
    sharded = Sharded(mesh, strategy)
    total = 0
    for variable in backbone.trainable_variables:
        axes = sharded.get_variable_layout(variable).axes
        parts = math.prod(sizes[a] for a in axes if a is not None)
        total += math.prod(variable.shape) // parts
    return total


def num_parameters(backbone):
    return sum(math.prod(v.shape) for v in backbone.trainable_variables)


def mesh_of(machine, num_model):
    devices = [f"cpu:{i}" for i in range(machine.num_devices)]
    if num_model == 1:
        shape, names = (machine.num_devices,), ["batch"]
    else:
        shape = (machine.num_devices // num_model, num_model)
        names = ["batch", "model"]
    return keras.distribution.DeviceMesh(shape, names, devices)


def plan(backbone, architecture, machine, strategy, num_model):
    """Computes a `Plan`."""
    mesh = mesh_of(machine, num_model)
    number = num_parameters(backbone)
    own = held(backbone, strategy, mesh)
    num_rows = mesh.shape[0]
    # A group of devices shares the tokens of all of its members.
    tokens = TOKENS_A_DEVICE * num_model
    states = tokens * architecture.width
    copies = number if strategy == "data" else own
    if "fsdp" in strategy:
        # Two blocks, of which one is used and one on its way.
        copies = 2 * number / num_model / architecture.num_layers
    memory = STATE_BYTES * own + COPY_BYTES * copies
    memory += 2 * states * architecture.num_layers
    share = (num_rows - 1) / num_rows
    # A sum over a ring sends each byte twice; two gathers and a scatter of
    # bfloat16, bfloat16 and float32 send 2 + 2 + 4.
    traffic = 8 * number / num_model * share / machine.far
    if num_model > 1:
        # Two sums a block forwards and two backwards, in bfloat16.
        sums = 4 * architecture.num_layers * 2 * 2 * states
        traffic += sums * (num_model - 1) / num_model / machine.near
    # Two a parameter forwards, again when it is computed anew, four backwards.
    compute = 8 * number * TOKENS_A_DEVICE / machine.peak
    return Plan(memory, traffic, compute)


def limit_of(found, machine):
    share = found.memory / machine.memory
    if share > 0.9:
        # The tiles and what a block computes with need some, too.
        return "memory: does not fit" if share > 1.0 else "memory: no room"
    return "exchanges" if found.traffic > found.compute else "operations"


def print_plan():
    """Prints the tables of the plan, in Markdown."""
    print(f"\nTokens a device and step: {TOKENS_A_DEVICE}.\n")
    for machine in MACHINES:
        print(
            f"- {machine.name}: {machine.memory / 1e9:.0f} GB, "
            f"{machine.peak / 1e12:.0f} TFLOP/s in bfloat16, links of "
            f"{machine.near / 1e9:.0f} GB/s along the model's axis and "
            f"{machine.far / 1e9:.0f} GB/s along the batch's (assumed)."
        )
    print(
        "\n| policy | N | machine | strategy | mesh | GB a device | "
        "exchanges s | operations s | step at least s | limited by |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    for architecture in ARCHITECTURES:
        backbone = backbone_of(architecture)
        number = num_parameters(backbone)
        for machine, layout in itertools.product(MACHINES, LAYOUTS):
            found = plan(backbone, architecture, machine, *layout)
            strategy, num_model = layout
            shape = mesh_of(machine, num_model).shape
            print(
                f"| {architecture.name} | {number / 1e9:.3f}e9 | "
                f"{machine.name} | {strategy} | {' x '.join(map(str, shape))} "
                f"| {found.memory / 1e9:.1f} | {found.traffic:.2f} | "
                f"{found.compute:.2f} | {found.bound:.2f} | "
                f"{limit_of(found, machine)} |"
            )


def print_check():
    """Prints the figures for N = 2.5e9 that are easy to check by hand."""
    number = 2.5e9
    print(
        "\nFor N = 2.5e9, weights, moments, gradients and copy alone: data "
        f"parallel {(STATE_BYTES + COPY_BYTES) * number / 1e9:.0f} GB a "
        f"device, fsdp over 8 {STATE_BYTES * number / 8 / 1e9:.1f} GB; "
        f"2N + 2N + 4N = {8 * number / 1e9:.0f} GB of traffic a step."
    )
