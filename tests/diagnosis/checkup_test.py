import html
import re

import keras
import numpy as np
import pytest
from families import shared_policy
from testing import PROMPTS
from testing import RESPONSES
from testing import tiny_policy

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.ops import CONTINUES


@pytest.fixture(scope="module")
def policy():
    return tiny_policy("gpt2")


@pytest.fixture(scope="module")
def dataset(policy):
    return demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)


def names(diagnosis):
    return [issue.name for issue in diagnosis.issues]


def copied(batch):
    inputs, actions, mask = batch
    inputs = {name: array.copy() for name, array in inputs.items()}
    return inputs, actions.copy(), mask.copy()


def empty(*shape):
    ids = np.zeros(shape, "int32")
    return {"token_ids": ids, "padding_mask": ids}, ids, ids


def by_hand(dataset):
    """A batch that can be spoilt."""
    return copied(dataset[0])


def test_finds_nothing_wrong_with_demonstrations(policy, dataset, capsys):
    diagnosis = keras_irl.doctor(policy, dataset)
    assert diagnosis.is_healthy
    assert diagnosis.issues == []
    assert diagnosis.counts.num_texts == 3
    assert diagnosis.counts.num_ended == 3
    lengths = [len(policy.preprocessor.tokenizer(r)) + 1 for r in RESPONSES]
    assert diagnosis.counts.num_trained == sum(lengths)
    printed = capsys.readouterr().out
    assert printed == diagnosis.report + "\n"
    assert "estimated" in printed
    assert "the quick brown fox[der schnelle braune fuchs<|end" in printed


def test_takes_a_trainer_that_is_not_compiled_yet(policy, dataset):
    assert keras_irl.doctor(keras_irl.MLE(policy), dataset).is_healthy


def test_shows_what_an_encoder_reads():
    policy = shared_policy("t5")
    dataset = demonstrations(policy, PROMPTS[1:2], RESPONSES[1:2], 1)
    report = keras_irl.doctor(policy, dataset).report
    assert "call me ishmael</s> -> <pad>[call me</s>]" in report


def test_marks_by_color_on_a_terminal(policy, dataset, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    report = keras_irl.doctor(policy, dataset).report
    assert "\033[1;32mder schnelle" in report


def test_a_notebook_marks_what_is_trained_and_runs_nothing(policy):
    soup = ["<script>fox</script>", "a & b"]
    hostile = demonstrations(policy, soup, [*RESPONSES][:2], batch_size=2)
    page = keras_irl.doctor(policy, hostile)._repr_html_()
    marked = re.findall(r"<mark[^>]*>(.*?)</mark>", page)
    # The legend, and each row from the response to its end token.
    assert len(marked) == 3 and marked[0] == "trained tokens"
    assert html.unescape(marked[1]).startswith(RESPONSES[0])
    assert "<script" not in page and "&lt;script" in page
    assert "a &amp; b" in page


def test_a_notebook_tells_the_issues(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    batch = inputs, actions, np.ones_like(mask)
    diagnosis = keras_irl.doctor(policy, [batch])
    page = diagnosis._repr_html_()
    for issue in diagnosis.issues:
        assert issue.problem in html.unescape(page)
        assert issue.fix in html.unescape(page)
    assert diagnosis.issues


def test_takes_batches_from_anywhere(policy, dataset):
    class Sequence(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return dataset[index]

    counts = [
        keras_irl.doctor(policy, batches).counts.num_trained
        for batches in (dataset, [*dataset], iter(dataset), Sequence())
    ]
    assert len(set(counts)) == 1
    # The rows that fill up the last batch are no texts, whoever hands them on.
    assert names(keras_irl.doctor(policy, [*dataset])) == []
    one = keras_irl.doctor(policy, dataset[0])
    assert one.counts == keras_irl.doctor(policy, dataset, 1).counts


def test_finds_that_nothing_is_trained(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    diagnosis = keras_irl.doctor(policy, [(inputs, actions, 0 * mask)])
    assert names(diagnosis) == ["nothing-trained"]
    assert not diagnosis.is_healthy


def test_finds_that_demonstrations_train_nothing(policy, monkeypatch):
    dataset = demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)
    inputs, actions, mask = by_hand(dataset)
    untrained = inputs, actions, 0 * mask
    monkeypatch.setattr(type(dataset), "__getitem__", lambda *_: untrained)
    diagnosis = keras_irl.doctor(policy, dataset)
    assert names(diagnosis) == ["nothing-trained"]
    assert diagnosis.counts.num_texts == 0


def test_finds_that_there_is_nothing_but_padding(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    inputs["padding_mask"][:] = False
    diagnosis = keras_irl.doctor(policy, (inputs, actions, 0 * mask))
    assert names(diagnosis) == ["nothing-trained"]
    assert "(padding)" in diagnosis.report


def test_finds_batches_and_texts_without_trained_tokens(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    batches = [dataset[0], (inputs, actions, 0 * mask)]
    diagnosis = keras_irl.doctor(policy, batches)
    assert names(diagnosis) == ["empty-batches", "untrained-texts"]
    assert diagnosis.is_healthy


def test_finds_that_no_end_is_trained(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    end = policy.preprocessor.tokenizer.end_token_id
    mask[actions == end] = 0.0
    diagnosis = keras_irl.doctor(policy, (inputs, actions, mask))
    assert names(diagnosis) == ["no-end-token"]
    assert not diagnosis.is_healthy
    mixed = [dataset[0]] + 4 * [(inputs, actions, mask)]
    assert "few-end-tokens" in names(keras_irl.doctor(policy, mixed))


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_finds_that_most_texts_are_cut(policy):
    prompts, responses = ["a", *PROMPTS], ["b", *RESPONSES]
    dataset = demonstrations(policy, prompts, responses, 4, max_length=21)
    diagnosis = keras_irl.doctor(policy, dataset)
    assert diagnosis.counts.num_cut == dataset.num_truncated == 3
    assert names(diagnosis) == ["most-texts-cut"]
    assert "4 texts, 3 cut, 0 dropped" in diagnosis.report
    assert "(cut)" in diagnosis.report


@pytest.mark.filterwarnings("ignore:Dropped:UserWarning")
def test_tells_what_was_dropped(policy):
    dataset = demonstrations(
        policy, PROMPTS, ["a", "", "b"], 2, on_invalid="drop"
    )
    report = keras_irl.doctor(policy, dataset).report
    assert "2 texts, 0 cut, 1 dropped (empty response: 1)" in report


def test_finds_prompts_that_are_trained(policy, dataset):
    inputs, actions, _ = by_hand(dataset)
    mask = inputs["padding_mask"].astype("float32")
    diagnosis = keras_irl.doctor(policy, (inputs, actions, mask))
    assert names(diagnosis) == ["prompt-trained"]


def test_finds_padding_on_the_left(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    flipped = {name: array[:, ::-1] for name, array in inputs.items()}
    diagnosis = keras_irl.doctor(
        policy, (flipped, actions[:, ::-1], mask[:, ::-1])
    )
    assert "left-padding" in names(diagnosis)
    assert not diagnosis.is_healthy


def test_finds_padding_that_is_trained(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    mask[0, -1] = 1.0
    diagnosis = keras_irl.doctor(policy, (inputs, actions, mask))
    assert names(diagnosis) == ["padding-trained"]
    assert not diagnosis.is_healthy


def test_finds_actions_that_are_not_shifted(policy, dataset):
    inputs, _, mask = by_hand(dataset)
    actions = inputs["token_ids"]
    diagnosis = keras_irl.doctor(policy, (inputs, actions, mask))
    assert "not-the-next-token" in names(diagnosis)
    assert not diagnosis.is_healthy


def test_finds_ids_outside_the_vocabulary(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    actions[mask == 0] = -100
    diagnosis = keras_irl.doctor(policy, (inputs, actions, mask))
    assert names(diagnosis) == ["ids-outside-the-vocabulary"]
    assert "such as -100" in diagnosis.issues[0].problem
    assert "<-100>" in diagnosis.report


def test_finds_texts_longer_than_the_positions(policy):
    dataset = demonstrations(policy, PROMPTS, RESPONSES, 3, max_length=80)
    assert names(keras_irl.doctor(policy, dataset)) == ["too-long"]


def test_estimates_the_memory_of_a_trainer(dataset):
    policy = tiny_policy("gpt2")
    trainer = keras_irl.MLE(policy)
    trainer.compile("sgd", tile_vocabulary=True)
    tiled = keras_irl.doctor(trainer, dataset)
    weights = 4 * policy.count_params()
    assert tiled.memory == {
        "weights": weights,
        "gradients": weights,
        "optimizer": tiled.memory["optimizer"],
        "activations": tiled.memory["activations"],
        "vocabulary tiles": 2 * 4 * 2 * 48 * 97,
    }
    assert tiled.memory["optimizer"] < 1.1 * weights
    plain = keras_irl.doctor(policy, dataset)
    assert plain.memory["optimizer"] == 2 * weights
    assert plain.memory["logits"] == 2 * 4 * 2 * 48 * 97


def test_rows_that_fill_up_a_batch_take_memory_and_are_no_texts(policy):
    dataset = demonstrations(policy, PROMPTS, RESPONSES, 5)
    diagnosis = keras_irl.doctor(policy, dataset)
    assert diagnosis.counts.num_texts == 3
    assert "batches of 5 x 48" in diagnosis.report


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no batches"),
        (7, "can't be iterated over.*Received: dataset of type int"),
        ([{"token_ids": [[1]]}], "Batch 0 is something else.*dict"),
        (
            [({"token_ids": [[1]]}, [[1]], [[1]])],
            "inputs of batch 0 lack padding_mask.*Received",
        ),
        (
            [
                (
                    {"token_ids": [[1, 2]], "padding_mask": [[1, 1]]},
                    [[1, 2]],
                    [[1]],
                )
            ],
            r"Shapes disagree in batch 0.*mask \(1, 1\)",
        ),
        (empty(0, 3), r"Batch 0 is empty.*Received: actions of shape \(0, 3\)"),
        (empty(2, 0), r"Batch 0 is empty.*Received: actions of shape \(2, 0\)"),
    ],
)
def test_refuses_what_is_no_batch(policy, batches, message):
    with pytest.raises(ValueError, match=message):
        keras_irl.doctor(policy, batches)


def test_refuses_what_is_no_policy(dataset):
    with pytest.raises(ValueError, match="Received: policy of type str"):
        keras_irl.doctor("gpt2", dataset)


def test_refuses_to_read_nothing(policy, dataset):
    with pytest.raises(ValueError, match="Received: num_batches=0"):
        keras_irl.doctor(policy, dataset, num_batches=0)


def test_a_cut_text_needs_no_end(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    end = policy.preprocessor.tokenizer.end_token_id
    mask[actions == end] = CONTINUES
    batches = [dataset[0], (inputs, actions, mask), (inputs, actions, mask)]
    diagnosis = keras_irl.doctor(policy, batches)
    assert names(diagnosis) == ["most-texts-cut"]
    assert np.signbit(mask).any()


@pytest.mark.filterwarnings("ignore:Dropped:UserWarning")
@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_a_stream_is_known_as_what_it_streams():
    policy = shared_policy("qwen3")
    dataset = demonstrations(
        policy, PROMPTS, ["a", "", "b" * 99], 3, on_invalid="drop"
    )
    whole = keras_irl.doctor(policy, dataset)
    assert "2 texts, 1 cut, 1 dropped (empty response: 1)" in whole.report
    assert keras_irl.doctor(policy, dataset.epochs(1)) == whole
    turns = [{"role": "user", "content": "a"}]
    turns.append({"role": "assistant", "content": "b"})
    template = keras_irl.data.CHATML._replace(
        special_tokens=("<|endoftext|>",), end_token="<|endoftext|>"
    )
    chats = keras_irl.data.chat_demonstrations(
        policy, 3 * [turns], 2, template=template
    )
    end = policy.preprocessor.tokenizer.token_to_id("<|endoftext|>")
    assert end != policy.preprocessor.tokenizer.end_token_id
    for data in (chats, chats.epochs(1), chats.epochs(1).map(lambda x: x)):
        diagnosis = keras_irl.doctor(policy, data)
        assert diagnosis.issues == []
        assert diagnosis.counts.num_ended == 3
    # A list does not know what ends its texts, but it shows.
    diagnosis = keras_irl.doctor(policy, [*chats])
    assert names(diagnosis) == ["another-end-token"]
    assert "end with <|endoftext|>" in diagnosis.issues[0].problem
    assert f"stop_token_ids=[{end}]" in diagnosis.issues[0].fix


def test_a_full_stop_is_no_end_token(policy, dataset):
    inputs, actions, mask = by_hand(dataset)
    tokenizer = policy.preprocessor.tokenizer
    ends = actions == tokenizer.end_token_id
    # Each text ends with the same letter.
    actions[ends] = tokenizer.token_to_id("x")
    inputs["padding_mask"] = inputs["padding_mask"].astype("int32")
    assert names(keras_irl.doctor(policy, (inputs, actions, mask))) == [
        "no-end-token"
    ]
    actions[ends] = 10_000
    found = names(keras_irl.doctor(policy, (inputs, actions, mask)))
    assert found == ["no-end-token", "ids-outside-the-vocabulary"]
