import hypothesis
import keras
import keras_hub
import numpy as np
import pytest
from families import EXAMPLES
from families import shared_policy
from hypothesis import strategies as st
from testing import CORPUS
from testing import FAMILIES
from testing import PROMPTS
from testing import RESPONSES

from keras_irl.data import demonstrations
from keras_irl.ops import CONTINUES

WORDS = sorted({word for line in CORPUS for word in line.split()})
MANY_PROMPTS = [" ".join(WORDS[i % 7 : i % 7 + 3]) for i in range(23)]
MANY_RESPONSES = [" ".join(WORDS[i : i + 1 + i % 3]) for i in range(23)]


def is_seq2seq(policy):
    return isinstance(policy, keras_hub.models.Seq2SeqLM)


def real(packed, name):
    ids = keras.ops.convert_to_numpy(packed[f"{name}token_ids"])[0]
    mask = keras.ops.convert_to_numpy(packed[f"{name}padding_mask"])[0]
    return list(ids[mask])


def row_by_hand(policy, prompt, response, length):
    """One text, token by token, from what keras-hub's `generate` reads."""
    preprocessor = policy.preprocessor
    encoder = None
    if is_seq2seq(policy):
        start = preprocessor.generate_preprocess(
            {"encoder_text": [prompt], "decoder_text": [""]}
        )
        encoder = {
            name: keras.ops.convert_to_numpy(start[name])[0]
            for name in ("encoder_token_ids", "encoder_padding_mask")
        }
        prefix = real(start, "decoder_")
    else:
        start = preprocessor.generate_preprocess([prompt], sequence_length=256)
        prefix = real(start, "")
    tokenizer = preprocessor.tokenizer
    text = prefix + list(tokenizer([response])[0]) + [tokenizer.end_token_id]
    states, actions, mask = [], [], []
    for t in range(length):
        if t + 1 >= len(text):
            break
        states.append(text[t])
        actions.append(text[t + 1])
        mask.append(1.0 if t + 1 >= len(prefix) else 0.0)
    if len(text) > length + 1:
        mask[-1] = -0.0
    return encoder, states, actions, mask


def assert_row_is(batch, row, expected, policy):
    inputs, actions, mask = batch
    name = "decoder_" if is_seq2seq(policy) else ""
    encoder, states, next_tokens, weights = expected
    n = len(states)
    np.testing.assert_array_equal(inputs[f"{name}token_ids"][row, :n], states)
    assert inputs[f"{name}padding_mask"][row, :n].all()
    assert not inputs[f"{name}padding_mask"][row, n:].any()
    np.testing.assert_array_equal(actions[row, :n], next_tokens)
    np.testing.assert_array_equal(mask[row, :n], weights)
    np.testing.assert_array_equal(
        np.signbit(mask[row, :n]), np.signbit(weights)
    )
    assert not mask[row, n:].any()
    assert not np.signbit(mask[row, n:]).any()
    if encoder is not None:
        for key, values in encoder.items():
            np.testing.assert_array_equal(inputs[key][row], values)


def assert_same(a, b):
    (inputs, *rest), (other_inputs, *other_rest) = a, b
    assert inputs.keys() == other_inputs.keys()
    for left, right in zip(
        [*inputs.values(), *rest],
        [*other_inputs.values(), *other_rest],
        strict=True,
    ):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right)
        np.testing.assert_array_equal(np.signbit(left), np.signbit(right))


def assert_all_same(a, b):
    a, b = list(a), list(b)
    assert len(a) == len(b)
    for left, right in zip(a, b, strict=True):
        assert_same(left, right)


def actions_of(batch):
    """The demonstrated actions of each text, which tell the texts apart."""
    _, actions, mask = batch
    return [tuple(a[m > 0]) for a, m in zip(actions, mask, strict=True)]


def many(family="t5", **kwargs):
    arguments = {"batch_size": 5, "seed": 7} | kwargs
    return demonstrations(
        shared_policy(family), MANY_PROMPTS, MANY_RESPONSES, **arguments
    )


@pytest.mark.parametrize("family", EXAMPLES)
def test_rows_are_what_generate_reads_and_the_response(family):
    policy = shared_policy(family)
    dataset = demonstrations(policy, PROMPTS, RESPONSES, 3)
    batch = dataset[0]
    for row, texts in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        assert_row_is(batch, row, row_by_hand(policy, *texts, 48), policy)


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
@pytest.mark.parametrize("family", EXAMPLES)
@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(
    texts=st.lists(
        st.tuples(
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
        ),
        min_size=1,
        max_size=7,
    ),
    batch_size=st.integers(1, 4),
    max_length=st.integers(3, 45),
)
def test_matches_a_loop_over_tokens(family, texts, batch_size, max_length):
    policy = shared_policy(family)
    texts = [
        (" ".join(prompt), " ".join(response)) for prompt, response in texts
    ]
    expected = [row_by_hand(policy, *text, max_length) for text in texts]
    hypothesis.assume(all(any(row[-1]) for row in expected))
    dataset = demonstrations(
        policy, *zip(*texts, strict=True), batch_size, max_length=max_length
    )
    assert len(dataset) == -(-len(texts) // batch_size)
    assert dataset.num_truncated == sum(
        bool(np.signbit(row[-1]).any()) for row in expected
    )
    for i, row in enumerate(expected):
        batch = dataset[i // batch_size]
        assert batch[1].shape == batch[2].shape == (batch_size, max_length)
        assert_row_is(batch, i % batch_size, row, policy)


@pytest.mark.parametrize("family", EXAMPLES)
def test_dtypes_and_names_are_those_the_policy_reads(family):
    policy = shared_policy(family)
    inputs, actions, mask = demonstrations(policy, PROMPTS, RESPONSES, 2)[0]
    assert set(inputs) == set(policy.input)
    for name, array in inputs.items():
        assert array.dtype == ("int32" if name.endswith("ids") else "bool")
        assert array.shape == (2, 48)
    assert (actions.dtype, mask.dtype) == ("int32", "float32")


@pytest.mark.parametrize("family", EXAMPLES)
def test_actions_decode_to_the_response(family):
    policy = shared_policy(family)
    tokenizer = policy.preprocessor.tokenizer
    dataset = demonstrations(policy, PROMPTS, RESPONSES, 3)
    for ids, response in zip(actions_of(dataset[0]), RESPONSES, strict=True):
        assert ids[-1] == tokenizer.end_token_id
        text = tokenizer.detokenize([list(map(int, ids[:-1]))])[0]
        assert text.strip() == response


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_that_just_fits_ends_and_a_longer_one_goes_on(family):
    policy = shared_policy(family)
    prompt, response = PROMPTS[1], RESPONSES[0]
    _, states, _, _ = row_by_hand(policy, prompt, response, 256)
    fits, cut = (
        demonstrations(policy, [prompt], [response], 1, max_length=length)
        for length in (len(states), len(states) - 1)
    )
    end_id = policy.preprocessor.tokenizer.end_token_id
    (_, actions, mask), (_, cut_actions, cut_mask) = fits[0], cut[0]
    assert mask[0, -1] == 1 and actions[0, -1] == end_id
    assert cut_mask[0, -1] == 0 and np.signbit(cut_mask[0, -1])
    assert np.signbit(cut_mask[0, -1]) == np.signbit(CONTINUES)
    # The true next token stands there, with no weight, and is not the end.
    assert cut_actions[0, -1] == actions[0, -2] != end_id
    assert (fits.num_truncated, cut.num_truncated) == (0, 1)


def test_truncation_is_reported_with_rows_and_remedy():
    with pytest.warns(
        UserWarning, match="2 of 4 texts .*rows 1, 3.*max_length"
    ):
        dataset = demonstrations(
            shared_policy("t5"),
            ["a"] * 4,
            ["a", "a b c d e f", "b", "a b c d e f g"],
            2,
            max_length=5,
        )
    assert dataset.num_truncated == 2


def test_the_last_batch_is_filled_with_rows_that_do_not_count():
    dataset = demonstrations(shared_policy("bart"), PROMPTS, RESPONSES, 2)
    inputs, actions, mask = dataset[1]
    assert len(dataset) == 2
    assert mask[0].any() and not mask[1].any()
    assert not np.signbit(mask[1]).any()
    for array in (*inputs.values(), actions):
        np.testing.assert_array_equal(array[0], array[1])


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
def test_a_filling_row_of_a_cut_text_does_not_go_on():
    dataset = demonstrations(
        shared_policy("t5"), ["a"], ["a b c d e"], 3, max_length=4
    )
    mask = dataset[0][2]
    np.testing.assert_array_equal(np.signbit(mask).sum(axis=1), [1, 0, 0])


def test_valid_bytes_arrays_and_sequences_of_ones_own_are_read():
    class Doubled:
        def __len__(self):
            return 3

        def __getitem__(self, row):
            return PROMPTS[row] + " fox"

    policy = shared_policy("t5")
    expected = [prompt + " fox" for prompt in PROMPTS]
    for prompts in (
        Doubled(),
        np.array(expected),
        np.array(expected, "object"),
        [prompt.encode() for prompt in expected],
    ):
        assert_all_same(
            demonstrations(policy, prompts, RESPONSES, 2),
            demonstrations(policy, expected, RESPONSES, 2),
        )


@pytest.mark.parametrize("family", ["t5", "bart", "gpt2"])
def test_an_empty_prompt_is_fine_where_something_else_is_read(family):
    policy = shared_policy(family)
    batch = demonstrations(policy, ["", "a"], ["b", "c"], 2)[0]
    assert_row_is(batch, 0, row_by_hand(policy, "", "b", 48), policy)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"batch_size": 0}, "`batch_size` must .* batch_size=0"),
        ({"batch_size": 2.0}, "`batch_size` must .* batch_size=2.0"),
        ({"batch_size": True}, "`batch_size` must .* batch_size=True"),
        ({"seed": -1}, "`seed` must .* seed=-1"),
        ({"seed": 0.5}, "`seed` must .* seed=0.5"),
        ({"on_invalid": "ignore"}, "`on_invalid` must .* on_invalid='ignore'"),
        ({"max_length": 1}, "`max_length` .* at least 2 .* max_length=1"),
        ({"max_length": 8.0}, "`max_length` .* max_length=8.0"),
    ],
)
def test_rejects_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        many(**arguments)


def test_the_shortest_length_depends_on_the_start_tokens():
    with pytest.raises(ValueError, match="at least 3 .* max_length=2"):
        many("bart", max_length=2)
