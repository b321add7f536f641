"""What is passed: values that are right, by argument name, and rubbish."""

import collections
import dataclasses
import datetime
import decimal
import fractions
import functools
import pathlib

import keras
import numpy as np
from hypothesis import strategies as st
from testing import tiny_gpt2
from testing import tiny_t5

import keras_irl

# What the arguments of a call have in common.
SHAPE = st.shared(st.tuples(st.integers(1, 3), st.integers(1, 5)), key="BT")
NUM_TOKENS = st.shared(st.integers(1, 6), key="V")
WIDTH = st.shared(st.integers(1, 4), key="D")
COUNT = st.shared(st.integers(1, 4), key="rows")
SEEDS = st.integers(0, 2**32 - 1)


@dataclasses.dataclass(frozen=True)
class Inside:
    """A path inside the folder of a case.

    Attributes:
        name: Of the file or folder.
        content: What stands in the file, or `None` where nothing is there yet.
        shown: What is passed, where it is not the file but its folder.
        beside: Pairs of names and contents of other files there.
    """

    name: str
    content: bytes | None = None
    shown: str | None = None
    beside: tuple = ()

    def at(self, folder):
        path = pathlib.Path(folder) / self.name
        files = [(path, self.content)]
        files += [(path.parent / name, data) for name, data in self.beside]
        for file, data in files:
            if data is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        return str(path if self.shown is None else path.parent / self.shown)


@dataclasses.dataclass(frozen=True)
class Made:
    """What a call may change: it is made for each call anew."""

    make: object

    def at(self, _):
        return self.make()


# --- numbers ---------------------------------------------------------------


def real(low, high):
    """Numbers from `low` to `high`, as Python and NumPy have them."""
    plain = st.one_of(
        st.sampled_from((low, high)), st.floats(low, high, width=32)
    )
    kinds = st.sampled_from((float, float, np.float32, np.float64, np.asarray))
    return st.builds(lambda kind, number: kind(number), kinds, plain)


def whole(low, high):
    """Whole numbers from `low` to `high`, as Python and NumPy have them."""
    kinds = st.sampled_from((int, int, np.int64, np.int32, np.asarray))
    return st.builds(
        lambda kind, number: kind(number), kinds, st.integers(low, high)
    )


def maybe(strategy):
    return st.one_of(st.none(), strategy)


# --- tensors ---------------------------------------------------------------

_FORMS = (
    lambda a: a,
    lambda a: a.astype("float64"),
    lambda a: a.astype("float16"),
    lambda a: a.tolist(),
    lambda a: tuple(map(tuple, a.tolist())) if a.ndim == 2 else a,
    lambda a: keras.ops.convert_to_tensor(a),
    lambda a: np.asfortranarray(a),
)


def _floats(shape, seed, form, scale):
    generator = np.random.default_rng(seed)
    array = generator.normal(0.0, scale, shape).astype("float32")
    if seed % 4 == 0 and array.size:
        odd = generator.choice([0.0, -0.0, 1e3, -1e3, 1e-30], array.shape)
        array = np.where(generator.random(array.shape) < 0.5, odd, array)
        array = array.astype("float32")
    return form(array)


def floats(shape=SHAPE, scale=3.0):
    return st.builds(
        _floats, shape, SEEDS, st.sampled_from(_FORMS), st.just(scale)
    )


def _mask(shape, seed, form):
    generator = np.random.default_rng(seed)
    array = generator.choice([0.0, -0.0, 1.0, 1.0, 1.0], shape)
    return form(array.astype("float32"))


MASKS = st.builds(
    _mask,
    SHAPE,
    SEEDS,
    st.sampled_from((*_FORMS, lambda a: a.astype("int32"), lambda a: a > 0)),
)


def _tokens(shape, size, seed, form):
    tokens = np.random.default_rng(seed).integers(size, size=shape)
    return form(tokens)


ACTIONS = st.builds(
    _tokens,
    SHAPE,
    NUM_TOKENS,
    SEEDS,
    st.sampled_from(
        (
            lambda a: a,
            lambda a: a.astype("int32"),
            lambda a: a.astype("uint8"),
            lambda a: a.tolist(),
            lambda a: keras.ops.convert_to_tensor(a),
        )
    ),
)
LOGITS = floats(st.tuples(SHAPE, NUM_TOKENS).map(lambda x: (*x[0], x[1])))
STATES = floats(st.tuples(SHAPE, WIDTH).map(lambda x: (*x[0], x[1])))
HEADS = st.builds(
    lambda kernel, bias, scale, cap: keras_irl.ops.VocabularyHead(
        np.asarray(kernel, "float32"),
        None if bias is None else np.asarray(bias, "float32"),
        scale,
        cap,
    ),
    floats(st.tuples(NUM_TOKENS, WIDTH)),
    maybe(floats(st.tuples(NUM_TOKENS))),
    st.sampled_from((1.0, 0.5)),
    st.sampled_from((None, 30.0)),
)

# --- texts -----------------------------------------------------------------

_SOUP = st.text(
    st.one_of(
        st.characters(codec=None, categories=("L", "N", "P", "S", "Z")),
        st.characters(categories=("Cs", "Cc", "Cf", "Co", "M")),
        st.sampled_from(" \n\t\0é中ש😀▁Ġ\ufeff\u202e"),
    ),
    max_size=12,
)
_ODD = st.sampled_from(
    (
        *("", " ", "\n", "</s>", "<unk>", "<pad>", "<|endoftext|>", "[MASK]"),
        *(
            "<b>&amp;</b><script>alert(1)</script>",
            "a | b",
            "e\u0301",
            "\ud800",
        ),
        *("x" * 3000, "the " * 300, "nan", "1e400", "%s{0}{x!r}", "a\x00b"),
    )
)
PLAIN = st.sampled_from(
    ("the quick brown fox", "call me", "der fuchs", "a b c", "12 + 3", "x")
)
TEXTS = st.one_of(PLAIN, PLAIN, _SOUP, _ODD)
_AS_COLUMNS = (list, list, tuple, lambda x: np.array([*x, None], object)[:-1])


def columns(elements, kinds=_AS_COLUMNS):
    """As many as there are rows in this case."""
    return st.builds(
        lambda kind, rows: kind(rows),
        st.sampled_from(kinds),
        COUNT.flatmap(lambda n: st.lists(elements, min_size=n, max_size=n)),
    )


PLAIN_COLUMNS = columns(PLAIN)
REFERENCES = columns(
    st.lists(TEXTS, min_size=1, max_size=2), kinds=(list, tuple)
)
SAMPLES = st.shared(st.integers(1, 4), key="samples").flatmap(
    lambda k: columns(st.lists(TEXTS, min_size=k, max_size=k), kinds=(list,))
)

# --- rubbish ---------------------------------------------------------------


def _generator():
    yield from ("a", "b")


class _Odd:
    """No number, no sequence, no text."""


_FIXED = (
    *(None, True, False, 0, 1, -1, 2, 3.5, -0.0, 0.5, 1e308, -1e308, 1e-320),
    *(10**400, -(10**400), 2**31, 2**63, -(2**63) - 1, 10**9, 10**12, 1e12),
    *(float("nan"), float("inf"), -float("inf")),
    *("", "x", "1", "0.5", "auto", "all", "\ud800", "x" * 1000, b"", b"x"),
    *(
        (),
        [],
        {},
        set(),
        frozenset({1}),
        [[]],
        [None],
        [[None]],
        [{}],
        {"a": 1},
    ),
    *([1], [1, 2, 3], [1.5], ["a"], ["a", 1], [["a"], "b"], [[1], [1, 2]]),
    *([float("nan")], [float("inf"), 1.0], [True], [10**400], ["\ud800"]),
    *((1, 2), ("a",), {1: "a"}, {"a": None}, {"": ""}, {"a": float("nan")}),
    *(np.int64(3), np.float32(0.25), np.float64("nan"), np.bool_(True)),
    *(np.array(3), np.array(0.5), np.array(float("nan")), np.array("a")),
    *(np.zeros(0), np.zeros((0, 3)), np.zeros((2, 0)), np.ones((2, 3))),
    *(np.ones(3), np.ones((1, 1)), np.ones((2, 3, 4)), np.array(["a", "b"])),
    *(np.array([None, 1], object), np.array([1 + 2j]), np.array([True, False])),
    *(np.full((2, 3), np.nan), np.full((2, 3), np.inf), np.datetime64("2020")),
    *(np.array([2**63], "uint64"), np.array([-1]), np.array([300])),
    *(np.str_("x"), np.bytes_(b"x"), np.dtype("int8"), np.array([[1], [2]])),
    *(1 + 2j, decimal.Decimal("0.5"), fractions.Fraction(1, 3), range(3)),
    *(datetime.date(2020, 1, 1), slice(None), Ellipsis, NotImplemented),
    *(int, dict, object(), _Odd(), _Odd, len, print, lambda: 0, lambda x: x),
    *(lambda *a, **k: None, pathlib.Path("nowhere"), bytearray(b"x")),
    *(collections.OrderedDict(a=1), memoryview(b"x"), ValueError("x")),
)
RUBBISH = st.one_of(
    st.sampled_from(_FIXED),
    st.sampled_from(_FIXED),
    st.builds(_generator),
    st.builds(lambda: iter([1, 2])),
    st.builds(lambda: map(str, range(3))),
    st.floats(),
    st.integers(),
    _SOUP,
    st.lists(_SOUP, max_size=3),
    st.lists(st.floats(), max_size=3),
    st.builds(lambda: keras.ops.ones((2, 3))),
    st.builds(lambda: keras.ops.zeros((), dtype="int32")),
)


def spoiled(value):
    """Almost what was right."""
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, np.ndarray) and value.ndim and value.size:
        return st.sampled_from(_spoiled_arrays(value))
    if isinstance(value, list | tuple) and len(value):
        # Somewhere inside, as deep as it goes.
        inside = st.integers(0, len(value) - 1).flatmap(
            lambda i: spoiled(value[i]).map(
                lambda x: [*value[:i], x, *value[i + 1 :]]
            )
        )
        return st.one_of(
            inside,
            inside,
            st.just(value[:-1]),
            st.just([*value, value[0]]),
            st.just(iter(value)),
            st.just(dict(enumerate(value))),
            st.builds(lambda x: [*value[:-1], x], RUBBISH),
            st.builds(lambda x: [x, *value[1:]], st.sampled_from(_FIXED)),
        )
    if isinstance(value, dict) and value:
        names = st.sampled_from(sorted(value, key=repr))
        inside = names.flatmap(
            lambda name: spoiled(value[name]).map(lambda x: {**value, name: x})
        )
        return st.one_of(
            inside,
            inside,
            names.map(lambda n: {k: v for k, v in value.items() if k != n}),
            st.builds(lambda n, x: {**value, n: x}, names, RUBBISH),
            st.builds(lambda n, x: {**value, x: value[n]}, names, _SOUP),
            st.just(list(value)),
        )
    return RUBBISH


def _spoiled_arrays(value):
    last = value[..., :1]
    kinds = [
        *(value[:1], value[:0], value[..., :0], last, value[0], value[None]),
        *(value.T, value.ravel(), np.concatenate([value, value])),
        *(value.astype(object), value.astype(str), value.tolist()),
    ]
    if value.dtype.kind not in "fiub":
        return kinds
    wide = value.astype("float64")
    with_nan, with_infinity, huge = wide.copy(), wide.copy(), wide.copy()
    with_nan.flat[0], with_infinity.flat[-1] = np.nan, np.inf
    huge.flat[0] = 1e300
    return [
        *(value.astype(bool), value.astype("complex64"), wide * np.nan, -wide),
        *(wide.astype("int8"), [*value.tolist(), [1]], huge, with_nan),
        *(wide.astype("int64").astype("datetime64[s]"), with_infinity, *kinds),
    ]


# --- policies --------------------------------------------------------------


@functools.cache
def gpt2():
    return tiny_gpt2(num_layers=1)


@functools.cache
def t5():
    return tiny_t5(max_length=24, num_layers=1)


@functools.cache
def gpt2_alone():
    policy = tiny_gpt2(num_layers=1)
    policy.preprocessor = None
    return policy


@functools.cache
def trainer():
    built = keras_irl.IQLearn(tiny_gpt2(num_layers=1))
    built.compile("adam")
    return built


POLICIES = st.sampled_from((0, 1)).map(lambda i: (gpt2, t5)[i]())
CAUSAL = st.builds(gpt2)
READ = st.sampled_from((0, 1, 2)).map(lambda i: (gpt2, t5, trainer)[i]())
# Only what does not change a policy gets one that is shared.
OWN = st.sampled_from((Made(tiny_gpt2), Made(tiny_t5)))

# --- tasks and rewards -----------------------------------------------------


def make_task(rows=3, **metrics):
    task = keras_irl.data.load_task("arithmetic", "test")
    return task.first(rows)


TASKS = st.builds(make_task, st.integers(1, 3))


def text_rewards(size, seed=0, finished=True):
    generator = np.random.default_rng(seed)
    return keras_irl.rewards.TextRewards(
        [f" t{i}" for i in range(size)],
        generator.normal(size=size),
        generator.normal(size=size),
        generator.normal(size=size) + 5.0,
        finished,
    )


REWARDS = columns(
    st.builds(
        text_rewards, st.integers(1, 4), st.integers(0, 9), st.booleans()
    ),
    kinds=(list, tuple),
)
NUMBERS = columns(st.floats(-100, 100, width=32), kinds=(list, tuple, np.array))
SCORES = st.one_of(REWARDS, NUMBERS)
PROMPT_IDS = columns(
    st.sampled_from(("a", "b", 1)), kinds=(list, tuple, np.array)
)
DECODERS = st.one_of(
    real(0.0, 2.0),
    st.builds(
        keras_irl.generation.Sampling,
        st.floats(0, 2),
        maybe(st.integers(1, 5)),
        maybe(st.floats(0.1, 1.0)),
    ),
    st.builds(keras_irl.generation.BeamSearch, st.integers(1, 4)),
)
DIVERGENCES = st.sampled_from(
    ("chi2", "hellinger", "reverse_kl", "jensen_shannon", "total_variation")
)

BY_NAME = {
    # Tensors
    "values": floats(),
    "action_values": floats(),
    "rewards": floats(),
    "mask": MASKS,
    "continues": maybe(MASKS),
    "actions": ACTIONS,
    "q_values": LOGITS,
    "hidden_states": STATES,
    "head": HEADS,
    "entropies": floats(),
    "advantages": floats(),
    "log_probs": floats(),
    "old_log_probs": floats(),
    "reference_log_probs": floats(),
    "targets": floats(),
    "demonstration_logits": floats(),
    # Numbers
    "discount": real(0.0, 1.0),
    "gae_lambda": real(0.0, 1.0),
    "mix_in": real(0.0, 1.0),
    "td_weight": real(0.0, 10.0),
    "entropy_weight": real(0.0, 10.0),
    "mle_weight": real(0.0, 10.0),
    "value_offset": st.one_of(
        real(-10.0, 10.0), st.sampled_from(("auto", "running", "running_last"))
    ),
    "decay": real(0.0, 0.875),
    "clip_ratio": real(0.125, 0.5),
    "kl_weight": maybe(real(0.0, 1.0)),
    "min_std": real(0.125, 2.0),
    "temperature": real(0.0, 2.0),
    "length_penalty": real(0.0, 2.0),
    "top_p": maybe(real(0.125, 1.0)),
    "level": real(0.5, 0.984375),
    "top_k": maybe(whole(1, 4)),
    "max_tokens": maybe(whole(1, 5)),
    "num_beams": whole(1, 4),
    "num_return_sequences": whole(1, 4),
    "num_samples": whole(1, 3),
    "num_updates": whole(1, 3),
    "buffer_size": whole(0, 5),
    "num_prompts": whole(1, 4),
    "num_epochs": whole(1, 3),
    "initial_epoch": st.just(0),
    "num_resamples": whole(2, 20),
    "num_buckets": whole(1, 4),
    "num_batches": whole(1, 3),
    "num_blank_lines": whole(0, 3),
    "max_order": whole(1, 4),
    "n": whole(1, 3),
    "k": st.just(1),
    "rank": whole(1, 4),
    "block_size": maybe(whole(1, 8)),
    "tile_size": maybe(whole(1, 8)),
    "batch_size": whole(1, 4),
    "every": whole(1, 5),
    "patience": whole(1, 50),
    "warmup_steps": whole(0, 9),
    "initial_step": whole(0, 9),
    "vocabulary_size": whole(280, 400),
    "max_prompt_length": maybe(whole(4, 24)),
    "max_length": maybe(whole(16, 48)),
    "max_response_length": maybe(whole(1, 8)),
    "max_texts": whole(1, 5),
    "seed": whole(0, 2**31 - 1),
    # Choices
    "divergence": DIVERGENCES,
    "reward_form": st.sampled_from(("softplus", "logit", "log_sigmoid")),
    "on_invalid": st.sampled_from(("raise", "drop")),
    "shuffle": st.sampled_from((None, True, False)),
    "stop_value_gradient": st.booleans(),
    "scale_td_weight": st.booleans(),
    "normalize": st.booleans(),
    "verbose": st.booleans(),
    "training": st.booleans(),
    "stop_on": st.sampled_from(((), "all", ("kl_high",), ["not_finite"])),
    "limits": st.sampled_from(
        (None, {}, {"kl_high": 3.0}, {"kl_high": None}, {"td_dominates": 1})
    ),
    "tokenize": st.sampled_from(("13a", "char", "none", "zh", "intl")),
    "metric": maybe(st.just("valid")),
    # Texts
    "prompts": PLAIN_COLUMNS,
    "responses": columns(TEXTS, kinds=(list, tuple)),
    "references": REFERENCES,
    "samples_per_prompt": SAMPLES,
    "stop": st.sampled_from(((), ["the"], ("\n", 5), [3])),
    "stop_token_ids": st.sampled_from(((), [1], (2, 3))),
    "texts": columns(PLAIN, kinds=(list, tuple)),
    "finished": maybe(columns(st.booleans(), kinds=(list, tuple, np.array))),
    # Things
    "policy": POLICIES,
    "language_model": POLICIES,
    "task": TASKS,
    "temperatures": st.lists(DECODERS, min_size=1, max_size=2, unique_by=repr),
    "decoder": DECODERS,
    "decoders": st.lists(DECODERS, max_size=1),
    "scores": SCORES,
    "prompt_ids": PROMPT_IDS,
    "folder": st.just(Inside("out")),
}
