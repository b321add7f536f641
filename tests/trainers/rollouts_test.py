"""What a policy writes in a training step, with scripted and real policies."""

import itertools
import pathlib
import traceback

import keras
import numpy as np
import pytest
from keras import ops
from testing import FAMILIES
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import quick_start
from testing import tiny_gpt2
from testing import tiny_policy
from testing import tiny_t5

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data import packed_demonstrations
from keras_irl.data.texts import KerasBatch
from keras_irl.generation import TokenSampler
from keras_irl.ops import encode_sample_weight
from keras_irl.trainers import Rollouts
from keras_irl.trainers.rollouts import ReplayBuffer


def batch(policy, batch_size=3):
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size)[0]


def sampled(policy, data, **arguments):
    """Demonstrations with rollouts, as arrays, and their `Rollouts`."""
    rollouts = Rollouts(**arguments)
    rollouts.prepare(policy)
    found = appended(rollouts, policy, data)
    return keras.tree.map_structure(numpy, found), rollouts


def appended(rollouts, policy, data):
    """Demonstrations with rollouts, as Keras takes them."""
    found, _ = rollouts.append(policy, KerasBatch(*data).as_texts())
    return found.as_keras_batch()


def key_of(inputs):
    return "decoder_" if "decoder_token_ids" in inputs else ""


@pytest.fixture
def writes(monkeypatch):
    """Lets policies write texts that a test chooses."""

    def write(tokens):
        def draw(policy, inputs, sampler):
            given = inputs[key_of(inputs) + "padding_mask"]
            ids = inputs[key_of(inputs) + "token_ids"]
            ids, given = (
                np.repeat(numpy(x), sampler.num_return_sequences, axis=0)
                for x in (ids, given)
            )
            texts = np.resize(tokens, ids.shape)
            return ops.convert_to_tensor(np.where(given, ids, texts))

        monkeypatch.setattr("keras_irl.trainers.rollouts.draw", draw)

    return write


@pytest.mark.parametrize("family", FAMILIES)
def test_rollouts_answer_the_prompts_of_the_batch(family):
    policy = quick_start(tiny_policy(family, num_layers=1))
    data = inputs, _, demonstrated = batch(policy)
    found, _ = sampled(policy, data, num_samples=2)
    # Demonstrations come first, as they are.
    for ours, theirs in zip(
        keras.tree.flatten(data), keras.tree.flatten(found), strict=True
    ):
        assert theirs.shape == (9, *ours.shape[1:])
        np.testing.assert_array_equal(theirs[:3], ours)
    states, actions, mask = found
    prefix, first = key_of(inputs), demonstrated.argmax(axis=1)
    ids, is_state = (
        states[prefix + name] for name in ("token_ids", "padding_mask")
    )
    for row in range(3, 9):
        prompt = (row - 3) // 2
        start = first[prompt] + 1
        np.testing.assert_array_equal(
            ids[row, :start], inputs[prefix + "token_ids"][prompt, :start]
        )
        (places,) = np.nonzero(mask[row] > 0)
        # One action after the other, and each leads to the next state.
        np.testing.assert_array_equal(
            places, np.arange(start - 1, places[-1] + 1)
        )
        np.testing.assert_array_equal(
            ids[row, places[1:]], actions[row, places[:-1]]
        )
        assert is_state[row, : places[-1] + 1].all()
    if "encoder_token_ids" in inputs:
        np.testing.assert_array_equal(
            states["encoder_token_ids"][3:],
            np.repeat(inputs["encoder_token_ids"], 2, axis=0),
        )


@pytest.mark.parametrize("tiny", (tiny_t5, tiny_gpt2))
def test_a_text_ends_with_its_end_token(tiny, writes):
    policy = tiny()
    end = policy.preprocessor.tokenizer.end_token_id
    writes([7, 8, end])
    (states, actions, mask), _ = sampled(policy, batch(policy))
    for row in range(3, 6):
        written = actions[row][mask[row] > 0]
        assert written[-1] == end
        assert (written[:-1] != end).all()
        # Whatever the policy wrote after that is no state.
        (places,) = np.nonzero(states[key_of(states) + "padding_mask"][row])
        assert places[-1] == np.nonzero(mask[row])[0][-1]
    assert not np.signbit(mask).any()


@pytest.mark.parametrize("tiny", (tiny_t5, tiny_gpt2))
def test_a_text_that_fills_the_width_is_cut_and_not_ended(tiny, writes):
    policy = tiny()
    writes([7])
    (states, actions, mask), _ = sampled(policy, batch(policy))
    for row in range(3, 6):
        assert mask[row, -1] == 0 and np.signbit(mask[row, -1])
        (places,) = np.nonzero(mask[row] > 0)
        assert places[-1] == mask.shape[1] - 2
        assert (actions[row, places] == 7).all()
        # The state after the last action is there, to be valued.
        assert states[key_of(states) + "padding_mask"][row, -1]


def test_a_text_may_end_with_the_last_action_of_the_width(writes):
    policy = tiny_t5(num_layers=1)
    end = policy.preprocessor.tokenizer.end_token_id
    writes([*[7] * 12, end])
    (_, actions, mask), _ = sampled(policy, batch(policy))
    assert (mask[3:] > 0).all()
    assert (actions[3:, -1] == end).all()


def test_rows_that_only_fill_a_batch_get_no_rollouts(writes):
    policy = tiny_gpt2(num_layers=1)
    writes([7])
    (_, _, mask), _ = sampled(policy, batch(policy, batch_size=5))
    assert (mask[:3] > 0).any(axis=1).all()
    assert (mask[5:8] > 0).any(axis=1).all()
    assert not (mask[8:] > 0).any()
    assert not np.signbit(mask[8:]).any()


def test_each_step_draws_others_and_seeds_reproduce_them():
    policy = quick_start(tiny_t5(num_layers=1))
    data = batch(policy)
    (_, first, _), rollouts = sampled(policy, data, num_samples=4)
    second = numpy(appended(rollouts, policy, data).actions)
    (_, again, _), _ = sampled(policy, data, num_samples=4)
    (_, other, _), _ = sampled(policy, data, num_samples=4, seed=1)
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()
    assert (first != other).any()


def test_a_buffer_gives_back_what_it_was_given(writes):
    policy = tiny_t5(num_layers=1)
    data = batch(policy)
    end = policy.preprocessor.tokenizer.end_token_id
    writes([7, 8, 9, end, 5])
    rollouts = Rollouts(num_samples=2, buffer_size=8, seed=3)
    rollouts.prepare(policy)
    _, actions, mask, continues = rollouts.append(
        policy, KerasBatch(*data).as_texts()
    )[0]
    buffer = rollouts.buffer
    assert int(buffer.num_kept) == 6 and int(buffer.next_place) == 6
    kept = rows(buffer.actions, buffer.mask, buffer.continues)
    assert rows(actions[3:], mask[3:], continues[3:]) <= kept
    writes([10, 11, end])
    appended(rollouts, policy, data)
    # The newest took the places of the oldest.
    assert int(buffer.num_kept) == 8 and int(buffer.next_place) == 4
    left = rows(buffer.actions[4:6], buffer.mask[4:6], buffer.continues[4:6])
    assert left <= kept


def rows(*tensors):
    arrays = [numpy(tensor).astype("int32") for tensor in tensors]
    return {
        tuple(np.concatenate(row).tolist()) for row in zip(*arrays, strict=True)
    }


def test_a_buffer_keeps_the_mark_of_a_text_that_was_cut(writes):
    policy = tiny_t5(num_layers=1)
    writes([7])
    (_, _, mask), _ = sampled(policy, batch(policy), buffer_size=3)
    assert np.signbit(mask[3:, -1]).all()


def test_a_buffer_of_before_is_read_with_its_marks(writes):
    policy = tiny_t5(num_layers=1)
    writes([7])
    _, rollouts = sampled(policy, batch(policy), buffer_size=4)
    store, old = {}, {}
    rollouts.buffer.save_own_variables(store)
    *names, mask, continues = store
    assert numpy(store[continues]).any() and not numpy(store[mask]).all()
    old = {name: store[name] for name in names}
    old[mask] = encode_sample_weight(
        numpy(store[mask]), numpy(store[continues])
    )
    loaded = ReplayBuffer(4, policy, seed=0)
    loaded.load_own_variables(old)
    for found, expected in zip(
        loaded.weights, rollouts.buffer.weights, strict=True
    ):
        np.testing.assert_array_equal(numpy(found), numpy(expected))
    assert not np.signbit(numpy(loaded.mask)).any()
    with pytest.raises(ValueError, match="expected .* variables"):
        loaded.load_own_variables({"0": old["0"]})


def test_a_buffer_refuses_batches_that_do_not_fit(writes):
    policy = tiny_t5(num_layers=1)
    writes([7])
    with pytest.raises(ValueError, match="hold those of a batch.*Received"):
        sampled(policy, batch(policy), buffer_size=2)
    data = demonstrations(policy, PROMPTS, RESPONSES, 3, max_length=9)[0]
    with pytest.raises(ValueError, match="max_length.*Received"):
        sampled(policy, data, buffer_size=8)


def test_a_buffer_keeps_no_rows_that_only_fill_a_batch(writes):
    policy = tiny_gpt2(num_layers=1)
    writes([7])
    (_, _, mask), rollouts = sampled(
        policy, batch(policy, batch_size=5), buffer_size=6
    )
    assert int(rollouts.buffer.num_kept) == 3
    assert int(rollouts.buffer.next_place) == 3
    # All that is given back is a text.
    assert (mask[5:] > 0).any(axis=1).all()


def test_packed_texts_are_refused_however_they_come():
    policy = tiny_gpt2(num_layers=1)
    packed = packed_demonstrations(policy, PROMPTS, RESPONSES, 1)[0]
    with pytest.raises(ValueError, match="one prompt a row.*Received"):
        sampled(policy, packed)


def test_a_policy_without_a_position_to_spare_is_refused():
    policy = tiny_gpt2(max_length=64, num_layers=1)
    with pytest.raises(ValueError, match="63 at most.*Received: 64 states"):
        sampled(policy, batch(policy))


@pytest.mark.parametrize(
    "name, number",
    (
        ("num_samples", 0),
        ("num_updates", 0),
        ("buffer_size", -1),
        ("seed", -1),
        ("num_samples", 1.5),
    ),
)
def test_numbers_out_of_range_are_refused(name, number):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        Rollouts(**{name: number})


def test_a_policy_without_a_preprocessor_can_not_write():
    policy = tiny_t5(num_layers=1)
    policy.preprocessor = None
    with pytest.raises(ValueError, match="preprocessor.*Received"):
        Rollouts().prepare(policy)


def test_a_buffer_picks_each_of_its_rollouts_as_often(writes):
    policy = tiny_t5(num_layers=1)
    inputs, actions, mask = batch(policy)
    buffer = ReplayBuffer(7, policy, seed=0)
    # Five rollouts in seven places, told apart by their first action.
    for first, count in ((0, 3), (3, 2)):
        rows = slice(0, count)
        marked = np.array(actions[rows])
        marked[:, 0] = first + np.arange(count)
        kept = {name: x[rows] for name, x in inputs.items()}
        texts = KerasBatch(kept, marked, mask[rows]).as_texts()
        buffer.exchange(texts)
    assert int(buffer.num_kept) == 5
    picked = buffer._pick(
        [buffer.actions], 5000, [ops.convert_to_tensor(actions)]
    )[0]
    counts = np.bincount(numpy(picked)[:, 0], minlength=5)
    assert len(counts) == 5
    # Five standard deviations of a count about its mean, 1000.
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(5000 * 0.2 * 0.8)


@pytest.mark.parametrize("wrong", ("1", None, True, 10**400, [1], 1.0))
@pytest.mark.parametrize(
    "name", ("num_samples", "num_updates", "buffer_size", "seed")
)
def test_what_is_no_integer_is_refused(name, wrong):
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        Rollouts(**{name: wrong})


def test_numbers_of_numpy_are_numbers():
    config = Rollouts(np.int64(2), np.array(3), np.uint8(4), np.int32(5))
    config = config.get_config()
    assert config == {
        "num_samples": 2,
        "num_updates": 3,
        "buffer_size": 4,
        "seed": 5,
    }
    assert {type(number) for number in config.values()} == {int}


class Traced(TokenSampler):
    """Keeps the functions that called it."""

    def __call__(self, *args, **kwargs):
        self.frames = traceback.extract_stack()
        return super().__call__(*args, **kwargs)


@pytest.mark.parametrize(
    "trainer_class", (keras_irl.OnlineIQLearn, keras_irl.GAIL)
)
def test_a_step_is_five_functions_away_from_the_sampler(trainer_class):
    policy = tiny_t5(max_length=6, num_layers=1)
    trainer = trainer_class(policy)
    trainer.rollouts.sampler = Traced(2)
    trainer.rollouts.num_samples = 2
    trainer.compile("sgd")
    trainer.train_on_batch(*batch(policy))
    package = pathlib.Path(keras_irl.__file__).parent
    frames = [
        frame
        for frame in trainer.rollouts.sampler.frames
        if package in pathlib.Path(frame.filename).parents
    ]
    names = [frame.name for frame in frames]
    files = [frame.filename for frame in frames]
    start = names.index("train_step")
    assert 0 < len(names[start + 1 :]) <= 5, names
    # No file is come back to that was left.
    walked = [file for file, _ in itertools.groupby(files[start:])]
    assert len(set(walked)) == len(walked), walked
