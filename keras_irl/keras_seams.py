"""Private parts of Keras and keras-hub, all that are used, in one file.

Each function names what it waits for, by the thread of Keras or keras-hub or
the entry of `docs/upstream.md`, and `tests/keras_seams_test.py` checks what it
relies on, against nightly builds too. No other file touches what is private to
them, and no method of theirs is replaced for good, save by `wrap_call`.
"""

import contextlib
import functools
import inspect
import json
import types
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import keras_hub
from keras import ops
from keras import tree

from keras_irl.expected_warnings import WHILE_BUILT
from keras_irl.expected_warnings import HiddenWarnings
from keras_irl.types import Distribution
from keras_irl.types import Policy
from keras_irl.types import Tensor


@contextlib.contextmanager
def without_mask_warnings() -> Iterator[None]:
    """Silences the warning that layers of a T5 destroy a mask, for a while.

    keras-hub hands its T5 the mask of the padding as an argument; the one that
    its embedding attaches besides is meant for nobody, and Keras warns of it.

    Waits for: a T5 of keras-hub whose embedding attaches no mask, as those of
    its other families don't (keras-team/keras-hub#2141).
    """
    with HiddenWarnings(WHILE_BUILT):
        yield


def layers_inside(layer: keras.Layer) -> list[keras.Layer]:
    """Lists a layer and all layers inside it, at any depth, itself first.

    Waits for: a public walk over layers, asked for in keras-team/keras#4398.
    `keras.Model.layers` goes no deeper, and a `keras.Layer` has no such list.
    """
    return list(layer._flatten_layers())


def wrap_call(layer: keras.Layer, wrapper: Callable[..., Any]) -> None:
    """Puts a wrapper around the `call` of a built layer, for good.

    Waits for: a `keras.RematScope` (keras-team/keras#20743) that reaches layers
    which are built already. It only reaches those that are made inside it, and
    recomputes dropout with other random numbers.
    """
    layer.call = wrapper


def blocks_of(
    backbone: keras_hub.models.Backbone, names: Sequence[str]
) -> list[keras.Layer]:
    """Lists the blocks of a backbone, none if an attribute is gone.

    Waits for: a public list of the blocks of a backbone. They have attributes
    by convention (keras-team/keras-hub#1421), which not all families follow.
    """
    attributes = vars(backbone)
    if not all(name in attributes for name in names):
        return []
    return [block for name in names for block in attributes[name]]


def weight_kind(variable: keras.Variable) -> str | None:
    """Tells embeddings and kernels from biases and the scales of norms.

    Waits for: initializers as arguments of all backbones of keras-hub, or
    layers that tell which of their variables is which (docs/upstream.md,
    "Kinds of variables"). `"query"` is the kernel of the queries of a T5.
    """
    if "embeddings" in variable.name:
        return "embeddings"
    if variable.name != "kernel":
        return None
    return "query" if "query_projector" in variable.path else "kernel"


class LowRankFactors(NamedTuple):
    """The factors A and B of a layer's low-rank update."""

    a: keras.Variable
    b: keras.Variable


def low_rank_factors(layer: keras.Layer) -> LowRankFactors | None:
    """Finds the factors that `enable_lora` has given a layer, or `None`.

    Waits for: a documented name of them, or a layer that merges them when asked
    (keras-team/keras#23244). The public names differ from kind to kind.
    """
    if isinstance(layer, keras.layers.Dense | keras.layers.EinsumDense):
        if layer.lora_enabled:
            return LowRankFactors(layer.lora_kernel_a, layer.lora_kernel_b)
    if isinstance(layer, keras.layers.Embedding) and layer.lora_enabled:
        return LowRankFactors(layer.lora_embeddings_a, layer.lora_embeddings_b)
    return None


def trained_by(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Lists the variables that an optimizer was built for.

    Waits for: a public name (docs/upstream.md, "Variables of an optimizer").
    """
    return optimizer._trainable_variables


def batch_count(optimizer: keras.Optimizer) -> keras.Variable:
    """The number of batches that an optimizer has seen, a `keras.Variable`.

    Waits for: a public name of it. Since keras-team/keras#19998 `iterations`
    counts updates, each of several batches where gradients are accumulated.
    """
    return optimizer._iterations


@contextlib.contextmanager
def changed_by(
    optimizer: keras.Optimizer, change: Callable[..., None]
) -> Iterator[None]:
    """Lets a function make an Adam's updates under PyTorch, for a while.

    It is called with gradients, variables, both lists of their moments, and a
    `rate`, once clipping, decay and accumulation are done.

    Waits for: an update in one pass by Keras (docs/upstream.md, "Fused Adam").
    """

    def update(gradients, variables, learning_rate):
        places = [optimizer._get_variable_index(v) for v in variables]
        first = [optimizer._momentums[place] for place in places]
        second = [optimizer._velocities[place] for place in places]
        change(gradients, variables, (first, second), rate=learning_rate)

    optimizer._parallel_update_step = update
    try:
        yield
    finally:
        del optimizer._parallel_update_step


# Functions of Keras that drop whatever is raised in them.
DROPPING = ("pythonify_logs", "_symbolic_build")


def is_dropped(frame: types.FrameType | None) -> bool:
    """Tells whether Keras drops what a signal's handler raises in a frame.

    Waits for: functions that drop what they expect (keras-team/keras#22288).
    """
    while frame is not None:
        if frame.f_code.co_name in DROPPING:
            return True
        frame = frame.f_back
    return False


def bring_weights_back(model: keras.Model) -> None:
    """Copies the weights that a `fit` on JAX keeps back to the model.

    Waits for: a documented name (docs/upstream.md, "State of a running fit").
    """
    if keras.config.backend() == "jax":
        model.jax_state_sync()


def wrap_fit_step(model: keras.Model, wrapper: Callable[..., Any]) -> None:
    """Puts a wrapper around what `fit` calls for a step, or takes it off.

    Waits for: a `fit` that skips steps (docs/upstream.md, "Steps of an epoch").
    """
    model.train_function = wrapper(model.train_function)


def forget_compiled(model: keras.Model) -> None:
    """Lets a model compile its steps anew, for other devices.

    Waits for: a public reset, where `compile` resets more (docs/upstream.md,
    "Reset of compiled functions").
    """
    model.train_function = None
    model.test_function = None
    model.predict_function = None


@contextlib.contextmanager
def own_rows(distribution: Distribution) -> Iterator[None]:
    """Lets each process read its own rows, for a while.

    Waits for: data that says so itself (docs/upstream.md, "Data that is
    divided already"). Keras divides data of TensorFlow, and refuses others.
    """
    before = distribution.auto_shard_dataset
    distribution.auto_shard_dataset = False
    try:
        yield
    finally:
        distribution.auto_shard_dataset = before


def backup_position(
    backup: keras.callbacks.BackupAndRestore,
) -> tuple[int, int] | None:
    """Reads an epoch, and how many of its batches were trained, or `None`.

    Waits for: a backup that goes on within an epoch (docs/upstream.md, "Backup
    within an epoch"). It notes the batch, and begins the epoch anew.
    """
    try:
        with open(backup._training_metadata_path, encoding="utf-8") as file:
            noted = json.load(file)
        return noted["epoch"], noted["batch"] + 1
    except (OSError, ValueError, KeyError):
        return None


def go_on_in(backup: keras.callbacks.BackupAndRestore, epoch: int) -> None:
    """Tells a backup in which epoch a training goes on.

    Waits for: one that notes it itself (docs/upstream.md, "Backup within an
    epoch"). It would note epoch 0 until that epoch ends.
    """
    backup._current_epoch = epoch


def build_metrics(model: keras.Model, batch: tuple[Any, Any, Any]) -> None:
    """Makes the metrics of a compiled model, from a batch `(x, y, weight)`.

    Waits for: a public name (docs/upstream.md, "Metrics before the first
    step"). Where Keras must know of them before, it calls this method.
    """
    model._symbolic_build(data_batch=batch)


# The argument with which Keras's `fit` calls `evaluate` after an epoch, and
# by which that call is told from a user's. Waits for: a hook of a validation
# that is not `evaluate` (keras-team/keras#16958), or for the argument to be
# documented (keras-team/keras#20177).
OF_A_VALIDATION = "_use_cached_eval_dataset"


def state_without_model(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The state of a callback that can be copied: it watches no model.

    Waits for: callbacks that are copied without the model that they watch
    (docs/upstream.md, "Copies of callbacks").
    """
    return {**vars(callback), "_model": None}


def token_id(
    tokenizer: keras_hub.tokenizers.Tokenizer, name: str | None
) -> int | None:
    """Returns the id in an attribute that a tokenizer may lack, or `None`.

    Waits for: ids of special tokens in all tokenizers of keras-hub, `None`
    where there is none (docs/upstream.md, "Special tokens of tokenizers").
    """
    found = vars(tokenizer).get(name)
    return None if found is None else int(found)


class StepState(NamedTuple):
    """The state that a training step of Keras's JAX trainer is called with.

    Lists of tensors, of the variables that `of` names. Waits for: the order to
    be documented, as `keras.Model.stateless_call` is; only a guide tells it
    (keras-team/keras-io#2188).
    """

    trainable: list[Tensor]
    non_trainable: list[Tensor]
    optimizer: list[Tensor]
    metrics: list[Tensor]

    @classmethod
    def of(cls, model: keras.Model) -> "StepState":
        """The variables of a compiled model themselves, in this order."""
        return cls(
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )


def step_arguments(arguments: tuple[Any, ...]) -> tuple[StepState | None, Any]:
    """Splits the arguments of a step into its state, or `None`, and data."""
    *states, data = arguments
    return (StepState(*states[0]) if states else None), data


def step_result(result: Any) -> tuple[Any, Any]:
    """Splits what a step returns into its logs and its state, or `None`.

    The state of a `test_step` has no part of the optimizer.
    """
    if isinstance(result, tuple):
        logs, state = result
        return logs, state
    return result, None


class KeepsWidth:
    """Keeps the static width of the logits of a T5, which it forgets.

    On TensorFlow it then refuses batches of unknown size, as in `fit`.

    Waits for: a T5 of keras-hub (keras-team/keras-hub#2932) that reshapes its
    logits by the static shape of its tokens.
    """

    def call_decoder_with_cache(
        self, *, decoder_token_ids: Tensor, **kwargs: Any
    ) -> tuple[Tensor, ...]:
        """The logits and states of T5's own, of a static width."""
        width = decoder_token_ids.shape[1]
        logits, hidden_states, *caches = super().call_decoder_with_cache(  # type: ignore[misc]
            decoder_token_ids=decoder_token_ids, **kwargs
        )
        return (
            ops.reshape(logits, (-1, width, logits.shape[-1])),
            ops.reshape(hidden_states, (-1, width, hidden_states.shape[-1])),
            *caches,
        )


def clear_gradients(variables: Sequence[keras.Variable]) -> None:
    """Forgets the gradients of earlier steps, which PyTorch would add to.

    Keras clears those of parameters that it has registered by their paths. The
    relative position biases of encoder and decoder of a T5 have the same path,
    so that one is missed, and its gradients pile up from step to step.

    Waits for: parameters registered by more than their path, as proposed in
    keras-team/keras#19908, or variables with paths of their own in that T5.
    """
    if keras.config.backend() == "torch":
        for variable in variables:
            variable.value.grad = None


def is_preprocessing(transform: Any) -> bool:
    """Tells whether keras-hub asks a data set for its own preprocessing.

    `fit` and `evaluate` of keras-hub map the policy's `preprocess_samples`
    over every data set; one that is tokenized already leaves that map out.
    With `preprocessor=None` no callback could `generate` from strings.

    Waits for: a `fit` of keras-hub that leaves batches alone which are what
    the model reads. Its way out is no preprocessor (keras-team/keras-hub#932).
    """
    return isinstance(transform, functools.partial) and any(
        inspect.ismethod(argument)
        and argument.__name__ == "preprocess_samples"
        and isinstance(argument.__self__, keras_hub.models.Task)
        for argument in transform.args
    )


def sampling_policy(
    policy: Policy,
    sampler: keras_hub.samplers.Sampler,
    *overrides: Any,
    reading: Callable[[], Any] = contextlib.nullcontext,
) -> Policy:
    """Makes a second policy, of the same weights, that another sampler drives.

    It expects `sampler.num_return_sequences` equal rows of each prompt, one
    after the other, and encodes the first of them only, in a scope that
    `reading` makes. State is shared; sampler and compiled functions are not.

    Waits for: `generate` with a sampler and a number of sequences a prompt.
    `compile` alone sets a sampler, since keras-team/keras-hub#804, and throws
    the optimizer away; the constructor would connect all layers once more. Its
    class is a subclass of the first one's; methods of `overrides` come before.
    """
    policy_class: Any = type(policy)
    view = object.__new__(_view_class(policy_class, overrides))
    vars(view).update(vars(policy), sampler=sampler, reading=reading)
    view.generate_function = None
    return view


@functools.cache
def _view_class(policy_class, overrides):
    bases = (_EncodesOnce, *overrides, policy_class)
    return type(policy_class)(f"Sampling{policy_class.__name__}", bases, {})


class _EncodesOnce:
    """Encodes one of the equal rows of each prompt."""

    # keras-hub's beam search repeats caches, but some families keep masks and
    # encoder states where a sampler can't see them.
    def _build_cache(self, *args, **kwargs):
        count = self.sampler.num_return_sequences

        def first(x):
            return None if x is None else x[::count]

        def repeat(x):
            return None if x is None else ops.repeat(x, count, axis=0)

        if count > 1:
            args, kwargs = tree.map_structure(first, (args, kwargs))
        with self.reading():
            cache = super()._build_cache(*args, **kwargs)
        return cache if count == 1 else tree.map_structure(repeat, cache)


def layout_of_variable(
    variable: keras.Variable,
) -> keras.distribution.TensorLayout | None:
    """Returns the layout that a variable has already, or `None`.

    Waits for: a public name of it. `ModelParallel` reads it to lay out what
    belongs to a weight as the weight (keras-team/keras#21194).
    """
    return variable._layout


def move_variable(
    variable: keras.Variable,
    distribution: Distribution,
    like: keras.Variable | None = None,
) -> None:
    """Lays a variable out anew, as a distribution says, as itself or `like`.

    Waits for: a public way to lay out variables made before the distribution
    was set. One can be passed to new ones by now (keras-team/keras#21264).
    """
    value = variable.value
    variable._layout = None
    asked = variable if like is None else like
    layout = distribution.get_variable_layout(asked)
    variable._layout = layout
    variable.assign(keras.distribution.distribute_tensor(value, layout))


def global_random_state(state: Sequence[int] | None = None) -> list[int]:
    """Reads the state of Keras's global random generator, or sets it.

    Waits for: a counterpart that reads of `keras.utils.set_random_seed`, which
    clears it since keras-team/keras#21874.
    """
    generator = keras.src.random.seed_generator.global_seed_generator()
    if state is not None:
        generator.state.assign(state)
    return [int(x) for x in ops.convert_to_numpy(generator.state)]


def random_seed() -> int | None:
    """The seed that `keras.utils.set_random_seed` was given, or `None`.

    Waits for: a public name of it, kept since keras-team/keras#21874.
    """
    return keras.src.utils.rng_utils.get_random_seed()


def weight_of_slot(
    slot: keras.Variable, weights: Sequence[keras.Variable]
) -> keras.Variable | None:
    """Finds the weight that an optimizer keeps a variable of, or `None`.

    Waits for: an optimizer that tells which (docs/upstream.md, "Weight of a
    slot variable"). Its paths hold those of weights, with other separators.
    """
    name = slot.path.split("/", 1)[-1]
    found = [
        weight
        for weight in weights
        if name.startswith(f"{weight.path.replace('/', '_')}_")
        and weight.shape == slot.shape
    ]
    return max(found, key=lambda weight: len(weight.path), default=None)


def updated_weight(layer: keras.Layer) -> keras.Variable:
    """Finds the frozen weight that low-rank factors are added to.

    Waits for: a layer that tells (docs/upstream.md, "Weight under a LoRA
    update"). Its `kernel` is the sum.
    """
    names = ("kernel", "embeddings")
    return next(v for v in layer.variables if v.name in names)
