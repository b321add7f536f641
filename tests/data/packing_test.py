import families
import keras
import numpy as np
import pytest
from testing import PROMPTS
from testing import RESPONSES
from testing import numpy
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.data import packed_demonstrations
from keras_irl.data.packing import fill_rows
from keras_irl.families.segments import segmented_states
from keras_irl.ops import CONTINUES
from keras_irl.ops import decode_sample_weight

# Their tokenizers have no start token, so a prompt has at least one token.
WITHOUT_START = ("qwen", "qwen3", "smollm3")
PACKED = {
    "bloom": {},
    "falcon": {},
    "gpt2": {},
    "gpt_neo_x": {},
    "llama": {},
    "llama3": {},
    "mistral": {"sliding_window": 3},
    "opt": {},
    "qwen": {},
    "qwen3": {},
    "smollm3": {},
}
IS_EAGER = keras.config.backend() == "tensorflow"
LENGTH = 60
# Without a prompt, an action is taken in the very first state.
TEXTS = (
    ("a", "the earth is round"),
    ("the", "dog"),
    ("", "call me"),
    ("call me ishmael", "the dog"),
    ("", "lazy dog"),
    ("quick", "the quick brown fox jumped over the lazy dog " * 3),
)


@pytest.fixture(scope="module")
def policy():
    return tiny_policy("gpt2", max_length=LENGTH)


def columns(texts=TEXTS):
    return [list(column) for column in zip(*texts, strict=True)]


def loud(policy):
    """Weights with which tokens matter to each other."""
    noise = np.random.default_rng(0)
    for variable in policy.trainable_variables:
        if "kernel" in variable.name or "embeddings" in variable.name:
            variable.assign(0.3 * noise.standard_normal(variable.shape))
    return policy


def losses_by_text(trainer, dataset):
    """The losses of the actions of each text, by its actions."""
    losses = {}
    for inputs, actions, mask in dataset:
        mask, continues = decode_sample_weight(mask)
        logits = trainer.predict_on_batch(inputs)
        statistics = trainer.token_statistics(
            logits, actions, mask, continues=continues
        )
        terms = trainer.token_losses(statistics, mask, continues=continues)
        tokens = numpy(sum(terms.values()))
        texts = inputs.get("segment_ids", inputs["padding_mask"])
        for row in range(len(mask)):
            for text in range(1, texts[row].max() + 1):
                here = (texts[row] == text) & (mask[row] > 0)
                if here.any():
                    losses[tuple(actions[row, here])] = tokens[row, here]
    return losses


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
@pytest.mark.parametrize("family", PACKED)
def test_packed_texts_have_the_losses_of_unpacked_ones(family):
    sizes = PACKED[family]
    policy = loud(families.family_policy(family, LENGTH, **sizes))
    trainer = keras_irl.IQLearn(policy, td_weight=0.5)
    trainer.compile("sgd", run_eagerly=IS_EAGER)
    prompts, responses = columns()
    if family in WITHOUT_START:
        prompts = [prompt or "q" for prompt in prompts]
    alone = demonstrations(policy, prompts, responses, 2)
    packed = packed_demonstrations(policy, prompts, responses, 2)
    assert packed.num_truncated == alone.num_truncated
    expected = losses_by_text(trainer, alone)
    received = losses_by_text(trainer, packed)
    assert expected.keys() == received.keys()
    assert len(expected) == len(TEXTS)
    for text, losses in expected.items():
        np.testing.assert_allclose(received[text], losses, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_a_packed_batch_has_the_loss_of_all_its_texts(policy):
    alone = demonstrations(policy, *columns(), len(TEXTS))
    packed = packed_demonstrations(policy, *columns(), 3)
    assert len(packed) == 1
    expected, *received = (
        evaluate(policy, *how)
        for how in ((alone, False), (packed, False), (packed, True))
    )
    for logs in received:
        for name, value in expected.items():
            np.testing.assert_allclose(logs[name], value, 1e-4, 1e-4, name)


def evaluate(policy, dataset, tile_vocabulary):
    trainer = keras_irl.IQLearn(policy)
    trainer.compile(
        "sgd", tile_vocabulary=tile_vocabulary, run_eagerly=IS_EAGER
    )
    return trainer.evaluate(dataset, verbose=0, return_dict=True)


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_every_text_stands_in_one_row_with_a_terminal_state(policy):
    dataset = packed_demonstrations(policy, *columns(), 2)
    assert dataset.num_rows == len(TEXTS)
    assert dataset.num_truncated == 1
    num_texts = num_cut = 0
    for inputs, _, mask in dataset:
        segments = inputs["segment_ids"]
        np.testing.assert_array_equal(segments > 0, inputs["padding_mask"])
        for row in np.flatnonzero(mask.any(axis=1)):
            for text in range(1, segments[row].max() + 1):
                places = np.flatnonzero(segments[row] == text)
                assert places[-1] - places[0] == len(places) - 1
                num_texts += 1
                if np.signbit(mask[row, places[-1]]):
                    num_cut += 1
                elif places[-1] + 1 < LENGTH:
                    after = mask[row, places[-1] + 1]
                    assert after == 0 and not np.signbit(after)
    assert (num_texts, num_cut) == (len(TEXTS), 1)
    assert np.signbit(CONTINUES)


def test_rows_that_fill_up_the_last_batch_are_not_trained(policy):
    dataset = packed_demonstrations(policy, PROMPTS, RESPONSES, 5, seed=1)
    inputs, _, mask = dataset[0]
    filled = mask.any(axis=1)
    assert filled.sum() == 2
    assert not filled[2:].any()
    assert inputs["padding_mask"].any(axis=1).all()
    diagnosis = keras_irl.doctor(policy, dataset)
    assert diagnosis.issues == []
    assert diagnosis.counts.num_texts == len(PROMPTS)


@pytest.mark.parametrize(
    ("sizes", "rows"),
    [
        ([], []),
        ([7], [[0]]),
        ([4, 4, 3], [[0, 2], [1]]),
        # Were the short ones placed first, there would be three rows.
        ([2, 2, 5, 5], [[0, 2], [1, 3]]),
        ([1] * 8, None),
    ],
)
def test_fills_rows_without_exceeding_them(sizes, rows):
    groups = fill_rows(sizes, 7)
    assert rows is None or groups == rows
    assert sorted(i for group in groups for i in group) == [*range(len(sizes))]
    assert all(sum(sizes[i] for i in group) <= 7 for group in groups)


def test_the_fit_of_keras_hub_is_refused(policy):
    dataset = packed_demonstrations(policy, PROMPTS, RESPONSES, 2)
    for packed in (dataset, dataset.epochs(1), dataset[:1]):
        with pytest.raises(ValueError, match="Received: packed demonstrat"):
            policy.evaluate(packed, verbose=0)


def test_invalid_rows_are_dropped_and_counted(policy):
    prompts, responses = [*PROMPTS, "a"], [*RESPONSES, " "]
    with pytest.raises(ValueError, match="Row 3: the response is empty"):
        packed_demonstrations(policy, prompts, responses, 2)
    with pytest.warns(UserWarning, match="Dropped 1 of 4"):
        dataset = packed_demonstrations(
            policy, prompts, responses, 2, on_invalid="drop"
        )
    assert dataset.dropped == {"empty response": 1}


def test_refuses_rows_longer_than_the_positions(policy):
    with pytest.raises(ValueError, match="64 positions.*max_length=65"):
        packed_demonstrations(policy, PROMPTS, RESPONSES, 2, max_length=65)


def test_refuses_families_that_cant_keep_texts_apart():
    policy = families.shared_policy("gemma")
    with pytest.raises(ValueError, match="can't be kept apart.*Received"):
        packed_demonstrations(policy, PROMPTS, RESPONSES, 2)
    with pytest.raises(ValueError, match="can't be kept apart.*Received"):
        segmented_states(policy, {})
