"""What the seams rely on: run it against a nightly build to know beforehand.

Where what a seam waits for is there one day, a test says so by failing.
"""

import inspect
import pathlib
import re
import warnings

import grain
import keras
import keras_hub
import numpy as np
import pytest
from keras import ops
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_policy

from keras_irl import keras_seams
from keras_irl.data import demonstrations
from keras_irl.families.family import FAMILIES
from keras_irl.generation import TokenSampler

ON_TORCH = pytest.mark.skipif(
    keras.config.backend() != "torch", reason="Only PyTorch keeps gradients."
)


def warnings_of(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught]


def is_of_masks(message):
    return "destroy the mask information" in message


def test_a_t5_still_warns_of_masks_and_here_it_does_not():
    with_words = warnings_of(lambda: tiny_policy("t5"))
    assert any(map(is_of_masks, with_words))

    def quiet():
        with keras_seams.without_mask_warnings():
            tiny_policy("t5")
            warnings.warn("another", UserWarning, stacklevel=1)

    without = warnings_of(quiet)
    assert "another" in without
    assert not any(map(is_of_masks, without))


def test_all_layers_are_found_once_at_any_depth():
    inner = keras.layers.Dense(2)

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner, self.again = [inner], inner

    model = keras.Sequential([keras.Sequential([Block()])])
    found = keras_seams.layers_inside(model)
    assert found[0] is model
    assert [type(layer).__name__ for layer in found].count("Dense") == 1
    assert {"Block", "Dense"} <= {type(layer).__name__ for layer in found}
    policy = tiny_policy("gpt2")
    inside = keras_seams.layers_inside(policy)
    assert {id(v) for layer in inside for v in layer.variables} == {
        id(v) for v in policy.variables
    }


def test_a_wrapped_call_is_what_a_built_model_computes():
    inputs = keras.Input((2,))
    layer = keras.layers.Dense(3)
    model = keras.Model(inputs, layer(inputs))
    own = layer.call

    keras_seams.wrap_call(layer, lambda x: 2.0 * own(x))
    x = np.ones((1, 2), "float32")
    expected = 2.0 * (x @ numpy(layer.kernel))
    np.testing.assert_allclose(numpy(layer(x)), expected, rtol=1e-5)
    np.testing.assert_allclose(numpy(model(x)), expected, rtol=1e-5)


@ON_TORCH
def test_a_remat_scope_still_does_not_reach_what_is_built():
    import torch

    policy = tiny_policy("gpt2")
    inputs = {
        name: np.ones((2, 16), "int32")
        for name in ("token_ids", "padding_mask")
    }

    def kept_bytes():
        total = []

        def keep(tensor):
            total.append(tensor.nbytes)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            policy.backbone(inputs)
        return sum(total)

    before = kept_bytes()
    with keras.RematScope(mode="full"):
        assert kept_bytes() == before


@ON_TORCH
def test_gradients_of_a_t5_still_pile_up_unless_they_are_cleared():
    policy = quick_start(tiny_policy("t5"))
    variables = policy.trainable_variables
    assert len({v.path for v in variables}) < len(variables)
    inputs, _, _ = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)[0]
    policy(inputs).sum().backward()
    policy.zero_grad()
    assert any(v.value.grad is not None for v in variables)
    keras_seams.clear_gradients(variables)
    assert all(v.value.grad is None for v in variables)


def test_clearing_is_nothing_where_gradients_are_not_kept():
    keras_seams.clear_gradients([keras.Variable(1.0)])


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_encodes_prompts_where_the_seam_expects_it(name):
    family = vars(keras_hub.models)[name]
    names = family.generate_step.__code__.co_names
    assert {"_build_cache", "sampler"} <= set(names)


def test_a_second_policy_shares_weights_and_leaves_the_first_alone():
    policy = tiny_policy("t5")
    before = dict(vars(policy))
    sampler = TokenSampler(num_samples=3)
    view = keras_seams.sampling_policy(policy, sampler)
    assert isinstance(view, type(policy))
    assert view.sampler is sampler
    assert [id(v) for v in view.variables] == [id(v) for v in policy.variables]
    inputs = policy.preprocessor.generate_preprocess(list(PROMPTS))
    rows = {name: ops.repeat(x, 3, axis=0) for name, x in inputs.items()}
    view.make_generate_function()(rows, stop_token_ids=None)
    assert view.generate_function is not None
    assert vars(policy).keys() == before.keys()
    assert all(vars(policy)[name] is value for name, value in before.items())


class Spy:
    """Counts the rows of what is encoded."""

    rows = ()

    def _build_cache(self, *args, **kwargs):
        given = keras.tree.flatten((args, kwargs))
        Spy.rows = {x.shape[0] for x in given if x is not None}
        return super()._build_cache(*args, **kwargs)


@pytest.mark.parametrize(("num_samples", "num_rows"), [(1, 2), (3, 2)])
def test_of_equal_rows_the_first_is_encoded(num_samples, num_rows):
    policy = tiny_policy("gpt2", max_length=16)
    sampler = TokenSampler(num_samples=num_samples)
    view = keras_seams.sampling_policy(policy, sampler, Spy)
    inputs = policy.preprocessor.generate_preprocess(["the fox", "a"])
    rows = {k: ops.repeat(x, num_samples, axis=0) for k, x in inputs.items()}
    found = view.generate_step(rows, stop_token_ids=None)
    assert Spy.rows == {num_rows}
    assert found["token_ids"].shape == (2 * num_samples, 16)


class Recorder(grain.MapDataset):
    """Keeps what is mapped over it."""

    def __init__(self, batches, transforms):
        super().__init__(batches)
        self.transforms = transforms

    def __len__(self):
        return len(self.parents[0])

    def __getitem__(self, index):
        return self.parents[0][index]

    def map(self, transform):
        self.transforms.append(transform)
        return self


def test_the_preprocessing_of_keras_hub_is_recognized_and_nothing_else():
    policy = tiny_policy("gpt2")
    data = demonstrations(policy, PROMPTS, RESPONSES, batch_size=3)
    recorder = Recorder(data, [])
    policy.fit(recorder, verbose=0, shuffle=False)
    policy.evaluate(recorder, verbose=0)
    assert len(recorder.transforms) == 2
    assert all(map(keras_seams.is_preprocessing, recorder.transforms))
    assert not keras_seams.is_preprocessing(policy.preprocess_samples)
    assert not keras_seams.is_preprocessing(lambda element: element)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras distributes on JAX alone."
)
def test_a_variable_knows_its_layout_and_takes_another():
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    variable = keras.Variable(np.arange(16.0).reshape(8, 2), name="kernel")
    assert keras_seams.layout_of_variable(variable) is None
    layouts = keras.distribution.LayoutMap(mesh)
    layouts["kernel"] = ("batch", None)
    distribution = keras.distribution.ModelParallel(layout_map=layouts)
    with distribution.scope():
        keras_seams.move_variable(variable, distribution)
    assert keras_seams.layout_of_variable(variable).axes == ("batch", None)
    assert not variable.value.is_fully_replicated
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(variable), np.arange(16.0).reshape(8, 2)
    )


class Decoder:
    """Forgets the shape of what it was given, as T5's does."""

    def call_decoder_with_cache(self, decoder_token_ids, cache):
        x = ops.reshape(ops.cast(decoder_token_ids, "float32"), (-1,))
        states = ops.repeat(x[:, None], 4, axis=1)
        logits = ops.repeat(x[:, None], 3, axis=1)
        return logits, states, cache, "cross"


class KeepingDecoder(keras_seams.KeepsWidth, Decoder):
    pass


def test_logits_and_states_have_the_width_of_the_tokens():
    tokens = np.arange(6).reshape(2, 3)
    logits, states, *caches = KeepingDecoder().call_decoder_with_cache(
        decoder_token_ids=tokens, cache="self"
    )
    assert logits.shape == (2, 3, 3)
    assert states.shape == (2, 3, 4)
    np.testing.assert_array_equal(ops.convert_to_numpy(logits[..., 0]), tokens)
    assert caches == ["self", "cross"]


def test_a_t5_still_decodes_with_the_method_that_keeps_its_width():
    step = inspect.getsource(keras_hub.models.T5Seq2SeqLM.generate_step)
    assert "self.call_decoder_with_cache(" in step


def test_blocks_are_found_where_a_backbone_keeps_them():
    backbone = tiny_policy("t5").backbone
    names = FAMILIES["T5Seq2SeqLM"].blocks
    assert len(keras_seams.blocks_of(backbone, names)) == 4
    assert keras_seams.blocks_of(backbone, [*names, "gone"]) == []


def test_weights_are_still_told_by_their_names_alone():
    variables = tiny_policy("t5").backbone.trainable_variables
    kinds = {v.path: keras_seams.weight_kind(v) for v in variables}
    assert set(kinds.values()) == {"embeddings", "query", "kernel", None}
    for path, kind in kinds.items():
        is_norm = path.endswith("/weight")
        assert (kind is None) == is_norm, path
    # There is no initializer to pass.
    arguments = inspect.signature(keras_hub.models.T5Backbone).parameters
    assert not [name for name in arguments if "initializer" in name]


@pytest.mark.parametrize(
    ("layer", "shapes"),
    [
        (keras.layers.Dense(3), [(4, 2), (2, 3)]),
        (keras.layers.EinsumDense("ab,bc->ac", 3), [(4, 2), (2, 3)]),
        (keras.layers.Embedding(5, 3), [(5, 2), (2, 3)]),
    ],
)
def test_the_factors_of_a_layer_are_found(layer, shapes):
    layer.build((1, 4))
    assert keras_seams.low_rank_factors(layer) is None
    layer.enable_lora(2)
    factors = keras_seams.low_rank_factors(layer)
    assert [tuple(factor.shape) for factor in factors] == shapes
    trained = {id(variable) for variable in layer.trainable_variables}
    assert {id(factor) for factor in factors} <= trained
    assert (
        keras_seams.low_rank_factors(keras.layers.LayerNormalization()) is None
    )


def test_an_optimizer_knows_its_variables_and_every_batch():
    variables = [keras.Variable([1.0]), keras.Variable([2.0])]
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    optimizer.build(variables)
    trained = keras_seams.trained_by(optimizer)
    assert [id(v) for v in trained] == [id(v) for v in variables]
    for count in range(1, 5):
        gradients = [ops.ones((1,)) for _ in variables]
        optimizer.apply(gradients, variables)
        assert int(keras_seams.batch_count(optimizer)) == count
        assert int(optimizer.iterations) == count // 3


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_what_is_put_there_makes_the_updates_of_an_adam_for_a_while(name):
    optimizer = getattr(keras.optimizers, name)(0.1)
    weights = [keras.Variable([1.0]), keras.Variable([2.0])]
    optimizer.build(weights)
    seen = []
    with keras_seams.changed_by(
        optimizer, lambda *x, rate: seen.append((*x, rate))
    ):
        optimizer.apply([ops.ones((1,)), ops.ones((1,)) * 2], weights[::-1])
    if keras.config.backend() != "torch":
        assert seen == []
        return
    ((gradients, variables, moments, rate),) = seen
    assert [float(x) for x in gradients] == [1.0, 2.0]
    assert [id(v) for v in variables] == [id(v) for v in weights[::-1]]
    # The moments of the same weights, the first and then the second.
    paths = [[v.path for v in group] for group in moments]
    first, second = (v.path.split("/")[-1] for v in weights)
    for kind, found in zip(("momentum", "velocity"), paths, strict=True):
        assert found == [
            f"{optimizer.name}/{name}_{kind}" for name in (second, first)
        ]
    assert float(rate) == pytest.approx(0.1)
    # But for the decay of AdamW, which is Keras's.
    values = np.concatenate([v.numpy() for v in weights])
    np.testing.assert_allclose(values, [1.0, 2.0], rtol=1e-3)
    optimizer.apply([ops.ones((1,)), ops.ones((1,))], weights)
    assert len(seen) == 1
    assert 0.9 < weights[0].numpy()[0] < 0.95


def test_keras_still_drops_what_is_raised_where_it_did():
    pythonify, build = keras_seams.DROPPING

    class Log:
        def __float__(self):
            raise KeyboardInterrupt

    logs = {"loss": Log()}
    assert getattr(keras.src.utils.python_utils, pythonify)(logs) == logs
    assert build in vars(keras.src.trainers.trainer.Trainer)


def test_metrics_are_made_from_a_batch_before_the_first_step():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = np.ones((2, 3), "float32"), np.ones((2, 1), "float32")
    count = len(model.metrics_variables)
    keras_seams.build_metrics(model, (x, y, None))
    assert len(model.metrics_variables) > count


def test_a_validation_still_asks_with_an_argument_of_its_own():
    asked = []

    class Model(keras.Sequential):
        def evaluate(self, *args, **kwargs):
            asked.append(keras_seams.OF_A_VALIDATION in kwargs)
            return super().evaluate(*args, **kwargs)

    model = Model([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = np.ones((2, 3)), np.ones((2, 1))
    model.fit(*data, validation_data=data, verbose=0)
    model.evaluate(*data, verbose=0)
    assert asked == [True, False]


def test_a_callback_is_copied_without_its_model():
    callback = keras.callbacks.Callback()
    callback.set_model(keras.Sequential([keras.layers.Dense(1)]))
    state = keras_seams.state_without_model(callback)
    assert state.keys() == vars(callback).keys()
    assert not any(isinstance(v, keras.Model) for v in state.values())
    assert callback.model is not None


def test_an_id_is_found_where_a_tokenizer_has_it():
    tokenizer = tiny_policy("gpt2").preprocessor.tokenizer
    found = keras_seams.token_id(tokenizer, "start_token_id")
    assert found == tokenizer.end_token_id and type(found) is int
    # Llama 3 alone has a second end.
    second_end = FAMILIES["Llama3CausalLM"].second_end
    assert keras_seams.token_id(tokenizer, second_end) is None


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras distributes on JAX alone."
)
def test_a_variable_is_moved_to_where_another_lies():
    mesh = keras.distribution.DeviceMesh((8,), ["batch"])
    layouts = keras.distribution.LayoutMap(mesh)
    layouts["kernel"] = ("batch", None)
    slot = keras.Variable(np.zeros((8, 2)), name="slot")
    distribution = keras.distribution.ModelParallel(layout_map=layouts)
    with distribution.scope():
        kernel = keras.Variable(np.zeros((8, 2)), name="kernel")
        keras_seams.move_variable(slot, distribution, like=kernel)
    assert slot.value.sharding == kernel.value.sharding
    assert not slot.value.is_fully_replicated


def test_the_global_generator_goes_on_where_it_was():
    keras.utils.set_random_seed(1)
    state = keras_seams.global_random_state()
    first = numpy(keras.random.normal((3,)))
    assert keras_seams.global_random_state() != state
    keras_seams.global_random_state(state)
    np.testing.assert_array_equal(numpy(keras.random.normal((3,))), first)


def test_a_random_seed_is_known_again():
    keras.utils.set_random_seed(7)
    assert keras_seams.random_seed() == 7


def test_an_optimizer_names_its_slots_after_their_weights():
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dense(2)])
    model.build((1, 2))
    model.compile(keras.optimizers.Adam(0.1))
    model.optimizer.build(model.trainable_variables)
    found = [
        keras_seams.weight_of_slot(slot, model.variables)
        for slot in model.optimizer.variables
    ]
    # Iterations and the learning rate are of no weight, two moments of each.
    assert found[:2] == [None, None]
    ids = [id(weight) for weight in found[2:]]
    assert sorted(ids) == sorted([id(w) for w in model.weights] * 2)


@pytest.mark.parametrize(
    "layer", [keras.layers.Dense(3), keras.layers.Embedding(5, 3)]
)
def test_the_weight_under_low_rank_factors_is_found(layer):
    layer.build((1, 4))
    (weight, *_) = layer.trainable_variables
    layer.enable_lora(2)
    assert keras_seams.updated_weight(layer) is weight
    assert not weight.trainable


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Only there a step has a state."
)
def test_the_state_of_a_step_stands_in_the_order_of_keras():
    seen = []

    class Watched(keras.Sequential):
        def train_step(self, *args):
            seen.append(keras_seams.step_arguments(args))
            result = super().train_step(*args)
            seen.append(keras_seams.step_result(result))
            return result

    dense = keras.layers.Dense(1, use_bias=False)
    model = Watched([keras.layers.BatchNormalization(), dense])
    model.compile("adam", loss="mse", metrics=["mae"])
    model.train_on_batch(np.ones((2, 1)), np.ones((2, 1)))
    (state, data), (logs, after) = seen
    assert data[0].shape == (2, 1) and "loss" in logs
    expected = keras_seams.StepState.of(model)
    for found in (state, keras_seams.StepState(*after)):
        for name, variables in expected._asdict().items():
            values = getattr(found, name)
            assert [v.shape for v in values] == [v.shape for v in variables]
    # No two have as many, so that none can stand for another.
    assert len({len(variables) for variables in expected}) == 4


# What is to be filed, where no thread is known.
UPSTREAM = pathlib.Path(__file__).parents[1] / "docs" / "upstream.md"


def waits():
    """What each seam waits for, in one line."""
    texts = pathlib.Path(keras_seams.__file__).read_text("utf-8")
    for part in texts.replace("# ", "").split("Waits for: ")[1:]:
        yield " ".join(re.split(r'\n\n|"""|\n[A-Z_]+ = ', part)[0].split())


def test_every_seam_names_a_thread_or_what_is_to_be_filed():
    assert len(list(waits())) >= 20
    titles = re.findall(r"^## (.+)$", UPSTREAM.read_text("utf-8"), re.M)
    named, nothing = set(), []
    for text in waits():
        entries = re.findall(r'\(docs/upstream\.md, "(.+?)"\)', text)
        named.update(entries)
        threads = re.findall(r"keras-team/keras(?:-hub|-io)?#\d+", text)
        nothing += [] if entries or threads else [text]
    assert nothing == []
    assert named == set(titles) and len(titles) == len(set(titles))


def test_what_is_to_be_filed_names_the_seams_that_wait_for_it():
    entries = UPSTREAM.read_text("utf-8").split("\n## ")[1:]
    for entry in entries:
        title, _, body = entry.partition("\n")
        (serves,) = re.findall(r"^Serves (.+)\.$", body, re.M)
        for name in re.findall(r"`(\w+)`", serves):
            text = " ".join(vars(keras_seams)[name].__doc__.split())
            assert f'"{title}"' in text, name


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras distributes on JAX alone."
)
def test_the_code_that_shows_what_is_missing_runs(capsys):
    codes = re.findall(
        r"^```python\n(.*?)^```$", UPSTREAM.read_text("utf-8"), re.M | re.S
    )
    shown = []
    for code in codes:
        exec(code, {})
        shown.append(capsys.readouterr().out)
    assert any("[0, 1, 2, 0, 1, 2, 3]\n" in text for text in shown)
    assert "2 4\n" in shown


class Interrupted:
    """A number of a log that can't be read, as a signal came."""

    def __init__(self):
        self.was_dropped = []

    def __float__(self):
        frame = inspect.currentframe()
        self.was_dropped.append(keras_seams.is_dropped(frame))
        raise KeyboardInterrupt


def test_a_frame_tells_that_keras_drops_what_is_raised_in_it():
    number = Interrupted()
    keras.src.utils.python_utils.pythonify_logs({"loss": number})
    with pytest.raises(KeyboardInterrupt):
        float(number)
    assert number.was_dropped == [True, False]


def small_model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, (np.ones((2, 1)), np.zeros((2, 1)))


def test_weights_are_brought_back_in_the_midst_of_an_epoch():
    model, data = small_model()
    kernel, seen = model.layers[0].kernel, []

    def look(batch, logs):
        keras_seams.bring_weights_back(model)
        seen.append(np.array(numpy(kernel)))

    # It asks for no model, by which Keras would bring them back itself.
    look = keras.callbacks.LambdaCallback(on_train_batch_end=look)
    model.fit(*data, batch_size=1, verbose=0, callbacks=[look])
    assert not np.array_equal(*seen)
    np.testing.assert_array_equal(seen[1], numpy(kernel))


def test_a_step_of_a_fit_is_called_through_what_is_put_around_it():
    model, data = small_model()
    model.fit(*data, verbose=0)
    compiled, calls = model.train_function, []

    def wrapper(train_function):
        return lambda *state: calls.append(state) or train_function(*state)

    keras_seams.wrap_fit_step(model, wrapper)
    # Keras keeps it, and hands it state and data, or data alone.
    model.fit(*data, batch_size=1, verbose=0)
    assert len(calls) == 2
    state, _ = keras_seams.step_arguments(calls[0])
    assert (state is not None) == (keras.config.backend() == "jax")
    keras_seams.wrap_fit_step(model, lambda _: compiled)
    model.fit(*data, verbose=0)
    assert len(calls) == 2 and model.train_function is compiled


def test_what_is_forgotten_is_compiled_anew():
    model, data = small_model()
    model.fit(*data, verbose=0)
    model.evaluate(*data, verbose=0)
    model.predict(data[0], verbose=0)
    compiled = model.train_function
    assert compiled and model.test_function and model.predict_function
    keras_seams.forget_compiled(model)
    assert not (model.test_function or model.predict_function)
    model.fit(*data, verbose=0)
    assert model.train_function not in (None, compiled)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="Keras distributes on JAX alone."
)
def test_a_distribution_leaves_rows_alone_for_a_while():
    distribution = keras.distribution.DataParallel()
    with keras_seams.own_rows(distribution):
        assert not distribution.auto_shard_dataset
    assert distribution.auto_shard_dataset


def test_a_backup_tells_the_epoch_and_the_batches_that_are_trained(tmp_path):
    backup = keras.callbacks.BackupAndRestore(tmp_path / "kept", save_freq=2)
    assert keras_seams.backup_position(backup) is None
    backup.set_model(small_model()[0])
    keras_seams.go_on_in(backup, 3)
    for batch in range(2):
        backup.on_train_batch_end(batch)
    assert keras_seams.backup_position(backup) == (3, 2)
