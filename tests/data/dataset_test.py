import functools

import grain
import keras
import keras_hub
import numpy as np
import pytest
from families import shared_policy
from pairs_test import MANY_PROMPTS
from pairs_test import MANY_RESPONSES
from pairs_test import actions_of
from pairs_test import assert_all_same
from pairs_test import assert_same
from pairs_test import many
from testing import CORPUS
from testing import FAMILIES
from testing import tiny_policy

from keras_irl.data import demonstrations

PROMPTS = [line[: 4 + i] for i, line in enumerate(CORPUS)]
RESPONSES = [line[:6].strip() for line in reversed(CORPUS)]


class Recorder:
    """Stands in for the steps of a policy and keeps what they are given."""

    def __init__(self, policy, monkeypatch):
        self.training, self.evaluation = [], []
        for name, batches in (
            ("train_step", self.training),
            ("test_step", self.evaluation),
        ):
            step = functools.partial(self.step, batches)
            monkeypatch.setattr(policy, name, step)
        # No step updates the metrics, so there is nothing to read from them.
        monkeypatch.setattr(policy, "get_metrics_result", dict)
        policy.compile(run_eagerly=True)

    def step(self, batches, *arguments):
        # Either `(data)` or, in a stateless backend, `(state, data)`.
        *state, batch = arguments
        as_numpy = keras.ops.convert_to_numpy
        batches.append(keras.tree.map_structure(as_numpy, batch))
        return ({"loss": 0.0}, *state) if state else {"loss": 0.0}


def dataset_of(policy, seed=3):
    return demonstrations(policy, PROMPTS, RESPONSES, 2, seed=seed)


@pytest.mark.parametrize("is_attached", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_fit_and_evaluate_of_keras_hub_see_these_batches(
    family, is_attached, monkeypatch
):
    policy = tiny_policy(family)
    dataset, held_out = dataset_of(policy), dataset_of(policy, seed=None)
    if not is_attached:
        policy.preprocessor = None
    recorder = Recorder(policy, monkeypatch)
    policy.fit(dataset, validation_data=held_out, epochs=2, verbose=0)
    assert_all_same(recorder.training, dataset.epochs(2))
    assert_all_same(recorder.evaluation, held_out.epochs(2))
    recorder.evaluation.clear()
    policy.evaluate(held_out, verbose=0)
    assert_all_same(recorder.evaluation, held_out)


def test_fit_of_keras_sees_what_keras_hub_sees(monkeypatch):
    policy = tiny_policy("t5", num_layers=1)
    dataset = dataset_of(policy)
    recorder = Recorder(policy, monkeypatch)
    keras.Model.fit(
        policy,
        dataset.epochs(3),
        epochs=3,
        steps_per_epoch=len(dataset),
        verbose=0,
    )
    assert_all_same(recorder.training, dataset.epochs(3))


@pytest.mark.parametrize(
    "derive",
    [
        lambda dataset: dataset.epochs(1),
        lambda dataset: dataset.repeat(2)[1:4],
        lambda dataset: dataset.to_iter_dataset(),
        lambda dataset: dataset.map(lambda batch: batch),
        lambda dataset: dataset.epochs(1).map(lambda batch: batch),
    ],
)
def test_what_is_made_of_it_is_not_preprocessed_again(derive, monkeypatch):
    policy = tiny_policy("t5", num_layers=1)
    recorder = Recorder(policy, monkeypatch)
    dataset = derive(dataset_of(policy))
    policy.evaluate(dataset, verbose=0)
    assert_all_same(recorder.evaluation, dataset)


def test_class_weights_and_other_maps_are_applied():
    dataset = many()
    double = functools.partial(
        lambda factor, batch: (*batch[:2], factor * batch[2]), 2
    )
    for mapped in (dataset.map(double), dataset.epochs(1).map(double)):
        for (_, _, twice), (_, _, once) in zip(mapped, dataset, strict=True):
            np.testing.assert_array_equal(twice, 2 * once)


def test_a_map_of_a_namesake_is_applied():
    class Other:
        def preprocess_samples(self, batch):
            return batch[2]

    mask = many().map(functools.partial(Other().preprocess_samples))[0]
    np.testing.assert_array_equal(mask, many()[0][2])
    partial = functools.partial(
        lambda own, batch: 0, Other().preprocess_samples
    )
    assert many().map(partial)[0] == 0


@pytest.mark.filterwarnings("ignore:Dropped 1 of 5 rows")
def test_says_how_much_it_holds():
    policy = tiny_policy("t5", num_layers=1)
    responses = ["b", CORPUS[0] * 9, "d", None, "e"]
    dataset = demonstrations(policy, ["a"] * 5, responses, 3, on_invalid="drop")
    (reason,) = dataset.dropped
    assert repr(dataset) == (
        f"<Demonstrations: 2 batches of 4 texts, 1 cut, 1 left out ({reason})>"
    )
    assert repr(demonstrations(policy, ["a"], ["b"], 1)) == (
        "<Demonstrations: 1 batches of 1 texts>"
    )


def test_derived_data_sets_keep_their_counts():
    for derived in (many()[1:], many().repeat(2), many().map(lambda b: b)):
        assert derived.num_rows == 23
        assert derived.num_truncated == 0
        assert derived.dropped == {}


def test_a_batch_is_found_by_its_index():
    dataset = many()
    assert_all_same([dataset[i] for i in range(len(dataset))], dataset)
    assert_same(dataset[7], list(dataset.epochs(2))[7])


def test_training_on_a_bad_row_names_it(monkeypatch):
    class Fading(list):
        reads = 0

        def __getitem__(self, row):
            self.reads += 1
            return super().__getitem__(row) if self.reads < 20 else None

    policy = tiny_policy("t5", num_layers=1)
    prompts = Fading(["a"] * 4)
    dataset = demonstrations(policy, prompts, ["b"] * 4, 2)
    Recorder(policy, monkeypatch)
    prompts.reads = 20
    with pytest.raises(ValueError, match=r"Row 0: .* must be a string"):
        policy.fit(dataset, verbose=0)


def test_a_policy_learns_from_it():
    policy = tiny_policy("gpt2")
    dataset = dataset_of(policy)
    policy.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[keras_hub.metrics.Perplexity(from_logits=True)],
    )
    history = policy.fit(dataset, epochs=8, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["perplexity"][-1] < history["perplexity"][0]
    # The preprocessor is still there for strings.
    assert policy.generate("call me", max_length=10).startswith("call me")


def test_keeps_the_order_of_the_rows_without_a_seed():
    dataset = many(seed=None)
    texts = [text for batch in dataset.epochs(2) for text in actions_of(batch)]
    tokenizer = shared_policy("t5").preprocessor.tokenizer
    expected = [(*ids, 1) for ids in tokenizer(MANY_RESPONSES)]
    assert texts == 2 * [*expected, (), ()]


def test_each_epoch_holds_every_text_once_in_an_order_of_its_own():
    epochs = [
        [
            text
            for batch in many().epochs(e + 1, e)
            for text in actions_of(batch)
        ]
        for e in range(4)
    ]
    unshuffled = [
        text for batch in many(seed=None) for text in actions_of(batch)
    ]
    for epoch in epochs:
        assert sorted(epoch) == sorted(unshuffled)
    assert len(set(map(tuple, epochs))) == 4


def test_seeds_do_not_share_epochs():
    orders = {
        tuple(actions_of(batch)[0] for batch in many(seed=s).epochs(e + 1, e))
        for s in range(4)
        for e in range(4)
    }
    assert len(orders) == 16


def test_the_order_of_a_seed_is_the_same_on_every_machine():
    # Written down once: a change here changes every experiment.
    policy = shared_policy("t5")
    letters = [chr(c) for c in range(ord("a"), ord("a") + 12)]
    dataset = demonstrations(policy, ["a"] * 12, letters, 12, seed=0)
    tokenizer = policy.preprocessor.tokenizer
    order = [
        "".join(tokenizer.id_to_token(int(ids[0]))[-1] for ids in actions_of(b))
        for b in dataset.epochs(2)
    ]
    assert order == ["filhecbadgkj", "gleiahkcbfdj"]


def test_two_constructions_give_the_same_batches():
    assert_all_same(many().epochs(3), many().epochs(3))


def test_continues_from_any_step_across_epochs():
    dataset = many()
    whole = list(dataset.epochs(3))
    for start in (0, 3, 4, 5, 7, 14):
        assert_all_same(dataset.batches(start, 15), whole[start:])
    endless = iter(dataset.batches(7))
    assert_all_same([next(endless) for _ in range(8)], whole[7:])


class Recorded:
    """A column that remembers which rows were read."""

    def __init__(self, texts):
        self.texts, self.reads = texts, []

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, row):
        self.reads.append(row)
        return self.texts[row]


def test_reads_only_the_rows_of_the_batches_it_gives():
    responses = Recorded(MANY_RESPONSES)
    dataset = demonstrations(
        shared_policy("t5"), MANY_PROMPTS, responses, 5, seed=7
    )
    responses.reads.clear()
    list(dataset.batches(6, 8))
    assert len(responses.reads) == 10
    responses.reads.clear()
    dataset[3]
    assert len(responses.reads) == 5


def test_streams_can_be_saved_and_restored_by_grain():
    dataset = many()
    stream = iter(dataset.epochs(2))
    for _ in range(6):
        next(stream)
    state = stream.get_state()
    rest = list(stream)
    other = iter(dataset.epochs(2))
    other.set_state(state)
    assert_all_same(rest, other)


def test_shards_are_slices():
    dataset = many()
    left, right = dataset[0::2], dataset[1::2]
    both = [None] * 10
    both[0:3], both[3:5] = left, right
    whole = list(dataset)
    assert_all_same(both[:5], whole[0::2] + whole[1::2])


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_read_what_one_reads_alone(family):
    dataset = many(family).repeat(8)
    options = grain.ReadOptions(num_threads=16, prefetch_buffer_size=64)
    assert_all_same(
        dataset.to_iter_dataset(options),
        [dataset[i] for i in range(len(dataset))],
    )


@pytest.mark.parametrize("start, stop", [(-1, None), (3, 3), (4, 2)])
def test_rejects_steps_that_do_not_exist(start, stop):
    with pytest.raises(ValueError, match=f"start={start}, stop={stop}"):
        many().batches(start, stop)


@pytest.mark.parametrize("num_epochs, initial_epoch", [(0, 0), (2, 2), (1, -1)])
def test_rejects_epochs_that_do_not_exist(num_epochs, initial_epoch):
    with pytest.raises(ValueError, match=f"num_epochs={num_epochs}, initial"):
        many().epochs(num_epochs, initial_epoch)


def test_an_order_is_asked_for_by_a_flag_or_a_seed():
    policy = tiny_policy("t5", num_layers=1)

    def orders(**arguments):
        data = demonstrations(
            policy, PROMPTS * 4, RESPONSES * 4, 1, **arguments
        )
        return [
            [
                tuple(batch[1][0].tolist())
                for batch in data.epochs(epoch + 1, epoch)
            ]
            for epoch in (0, 1)
        ]

    kept = orders()
    assert kept[0] == kept[1] == orders(shuffle=False)[0]
    assert orders(seed=3, shuffle=False) == kept
    shuffled = orders(shuffle=True)
    assert shuffled[0] != kept[0] and shuffled[0] != shuffled[1]
    assert sorted(shuffled[0]) == sorted(kept[0])
    # Without a seed it is 0; with a seed, the flag may be left out.
    assert shuffled == orders(seed=0) == orders(seed=0, shuffle=True)
    assert orders(seed=3) == orders(seed=3, shuffle=True) != shuffled
    with pytest.raises(ValueError, match="Received: shuffle=2"):
        orders(shuffle=2)
