import copy
import pickle
import re
import unicodedata
import warnings

import keras
import keras_hub
import numpy as np
import pandas as pd
import pytest
from families import FAMILIES
from families import shared_policy
from testing import CORPUS
from testing import tiny_gpt2
from testing import tiny_t5

from keras_irl.data import demonstrations
from keras_irl.data import packed_demonstrations
from keras_irl.data.validation import _most_tokens

LONG = " ".join(CORPUS * 3)


def make(prompts, responses, family="t5", **kwargs):
    return demonstrations(
        shared_policy(family), prompts, responses, 2, **kwargs
    )


@pytest.mark.parametrize(
    "bad, message",
    [
        (None, r"Row 1: .* must be a string.*prompts\[1\]=None"),
        (float("nan"), r"Row 1: .* must be a string.*prompts\[1\]=nan"),
        (["a"], r"Row 1: .* must be a string.*prompts\[1\]=\['a'\]"),
        (b"caf\xe9", r"Row 1: .*not valid UTF-8.*prompts\[1\]=b'caf\\xe9'"),
        ("a\ud800", r"Row 1: .*not valid UTF-8.*prompts\[1\]='a\\ud800'"),
        (LONG, r"Row 1: .*has \d+ tokens.*room for 47.*prompts\[1\]='the q"),
    ],
)
def test_an_error_names_the_row_of_a_bad_prompt(bad, message):
    with pytest.raises(ValueError, match=message) as error:
        make(["a", bad, "b"], ["a", "b", "c"])
    assert "on_invalid" in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    "bad, message",
    [
        (None, r"Row 2: .* must be a string.*responses\[2\]=None"),
        (b"\xff", r"Row 2: .*not valid UTF-8.*responses\[2\]=b'\\xff'"),
        ("", r"Row 2: the response is empty.*responses\[2\]=''"),
        (" \n\t ", r"Row 2: the response is empty.*responses\[2\]=' \\n\\t '"),
        ("\u200b", r"Row 2: the response is empty.*tokenizes to nothing"),
    ],
)
@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_an_error_names_the_row_of_a_bad_response(bad, message, family):
    with pytest.raises(ValueError, match=message):
        make(["a", "b", "c"], ["a", "b", bad], family)


def test_a_response_of_unknown_characters_is_empty():
    # This byte-pair tokenizer has no unknown token: it swallows the word.
    with pytest.raises(ValueError, match="Row 0: the response is empty"):
        make(["a"], ["ü"], "gpt2")


@pytest.mark.filterwarnings("ignore:.*were cut:UserWarning")
@pytest.mark.parametrize("family", ["gpt2", "bart", "t5", "llama", "t5gemma"])
def test_the_longest_prompt_leaves_one_action(family):
    dataset, longest = None, None
    for length in range(1, 60):
        try:
            dataset = make([" ".join("a" * length)], ["b c"], family)
            longest = length
        except ValueError as error:
            assert "prompt fills" not in str(error)
            assert "room for" in str(error)
            break
    assert longest is not None and length < 60
    inputs, _, mask = dataset[0]
    assert (mask > 0).sum() >= 1
    if "token_ids" in inputs:
        # Its words and spaces each take a token in GPT-2, so that one state
        # may be left over.
        assert inputs["padding_mask"].sum() >= 47
    else:
        assert inputs["encoder_padding_mask"][0].sum() >= 47


def test_a_prompt_needs_a_token_where_nothing_else_is_read():
    policy = tiny_gpt2(max_length=16)
    tokenizer = policy.preprocessor.tokenizer
    policy.preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(
        tokenizer, sequence_length=16
    )
    policy.preprocessor.build(None)
    policy.preprocessor.packer.start_value = None
    for prompt in ("", "ü"):
        with pytest.raises(ValueError, match="Row 1: the prompt is empty"):
            demonstrations(policy, ["a", prompt], ["a", "b"], 2)
    _, actions, mask = demonstrations(policy, ["a"], ["b"], 1)[0]
    assert mask[0, :3].tolist() == [1, 1, 0]
    assert actions[0, 1] == tokenizer.end_token_id


def test_an_encoder_without_special_tokens_needs_a_prompt():
    with pytest.raises(ValueError, match="Row 0: the prompt is empty"):
        make([""], ["a"], "t5gemma")


def test_dropped_rows_are_counted_by_reason():
    prompts = ["a", None, "b", LONG, "c", "d", b"\xff"]
    responses = ["a", "b", " ", "c", b"d", "\u200b", "e"]
    with pytest.warns(UserWarning, match="Dropped 5 of 7 rows") as warned:
        dataset = make(prompts, responses, on_invalid="drop")
    assert dataset.dropped == {
        "not a string": 1,
        "empty response": 2,
        "prompt fills the window": 1,
        "not UTF-8": 1,
    }
    assert dataset.num_rows == 2
    (warning,) = [w for w in warned if w.category is UserWarning]
    assert "empty response: 2" in str(warning.message)
    assert warning.filename == __file__
    kept = make(["a", "c"], ["a", "d"])
    for left, right in zip(
        keras.tree.flatten(dataset[0]),
        keras.tree.flatten(kept[0]),
        strict=True,
    ):
        np.testing.assert_array_equal(left, right)


def test_nothing_is_dropped_in_silence_or_for_nothing():
    dataset = make(["a"], ["b"], on_invalid="drop")
    assert dataset.dropped == {}


def test_dropping_everything_is_an_error():
    with pytest.raises(
        ValueError, match="Every row is invalid.*not a str.*: 2"
    ):
        make([None, 1], ["a", "b"], on_invalid="drop")


@pytest.mark.parametrize(
    "prompts, responses, message",
    [
        ("a b", ["a"], "`prompts` must be a sequence.*list of one.*'a b'"),
        (["a"], b"b", "`responses` must be a sequence.*list of one"),
        (None, ["a"], "`prompts` must be a sequence.*NoneType"),
        (["a"], iter(["b"]), "`responses` must be a sequence.*iterator"),
        ({"x": "a"}, ["b"], "`prompts` must be a sequence.*dict"),
        ({"a"}, ["b"], "`prompts` must be a sequence.*set"),
        (["a", "b"], ["c"], "one response.*2 prompts, 1 responses"),
        ([], [], "no rows"),
    ],
)
def test_rejects_what_is_no_pair_of_columns(prompts, responses, message):
    with pytest.raises(ValueError, match=message):
        make(prompts, responses)


def test_rejects_a_policy_without_a_preprocessor():
    policy = tiny_t5()
    policy.preprocessor = None
    with pytest.raises(ValueError, match="no preprocessor.*preprocessor=None"):
        demonstrations(policy, ["a"], ["b"], 1)


def test_rejects_what_is_no_language_model():
    with pytest.raises(
        ValueError, match="`keras_hub.models.CausalLM` or .*Dense"
    ):
        demonstrations(keras.layers.Dense(3), ["a"], ["b"], 1)


def test_rejects_a_tokenizer_without_an_end():
    policy = tiny_t5()
    policy.preprocessor.tokenizer.end_token_id = None
    with pytest.raises(ValueError, match="no end token.*end_token_id=None"):
        demonstrations(policy, ["a"], ["b"], 1)


def test_rejects_a_tokenizer_that_knows_nothing():
    policy = tiny_gpt2()
    vocabulary = {"é": 0, "è": 1, "éè": 2, "<|endoftext|>": 3}
    policy.preprocessor.tokenizer.set_vocabulary_and_merges(vocabulary, ["é è"])
    with pytest.raises(ValueError, match="letter and digit into nothing"):
        demonstrations(policy, ["a"], ["b"], 1)


def test_rejects_a_preprocessor_that_rewrites_prompts(monkeypatch):
    policy = tiny_gpt2()
    original = policy.preprocessor.generate_preprocess
    monkeypatch.setattr(
        policy.preprocessor,
        "generate_preprocess",
        lambda texts, **kwargs: original([t + t for t in texts], **kwargs),
    )
    with pytest.raises(ValueError, match="does more with a prompt"):
        demonstrations(policy, ["a"], ["b"], 1)


class Changing:
    """A column whose second reading differs from its first."""

    def __init__(self, *values):
        self.values = list(values)

    def __len__(self):
        return 1

    def __getitem__(self, row):
        # The first value is read twice: for its type, and by the survey.
        value, *rest = self.values
        self.values = rest or [value]
        return value


def test_errors_of_background_threads_name_the_row():
    dataset = make(["a"], Changing("a", "a", "  "))
    with pytest.raises(ValueError, match="Row 0: the response is empty"):
        list(dataset.epochs(1))


@pytest.mark.parametrize("text", ["ﷺ" * 2, "㌀" * 4, "ŉ" * 6, "ΐ" * 6])
def test_texts_that_grow_in_a_normalizer_are_counted_in_full(text):
    # SentencePiece normalizes to NFKC, where one character may become 18.
    preprocessor = tiny_t5(max_length=12).preprocessor
    for form in ("NFKC", "NFKD"):
        grown = unicodedata.normalize(form, text)
        assert len(grown) <= _most_tokens(text)
    (tokens,) = preprocessor.tokenizer([text])
    assert len(tokens) <= _most_tokens(text)


FRAME = pd.DataFrame({"p": ["a", "b", "c"], "r": ["b c", "c a", "a b"]})


def same(left, right):
    for a, b in zip(
        keras.tree.flatten(left), keras.tree.flatten(right), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("pack", [demonstrations, packed_demonstrations])
def test_columns_with_labels_are_read_by_position(pack):
    shuffled, filtered = FRAME.iloc[[2, 0, 1]], FRAME[FRAME.p > "a"]
    policy = shared_policy("gpt2")
    made = pack(policy, shuffled.p, list(shuffled.r), 3)
    same(made[0], pack(policy, ["c", "a", "b"], ["a b", "b c", "c a"], 3)[0])
    made = pack(policy, filtered.p, filtered.r, 2)
    same(made[0], pack(policy, ["b", "c"], ["c a", "a b"], 2)[0])


def test_a_missing_value_of_a_table_is_named_by_its_position():
    texts = pd.Series(["a", "b", pd.NA, "c"], [3, 2, 1, 0], object)
    with pytest.raises(
        ValueError, match=r"Row 2: .*missing.*prompts\[2\]=<NA>"
    ):
        make(texts, ["a"] * 4)
    with pytest.raises(ValueError, match=r"Row 1: .*missing.*ponses\[1\]=nan"):
        make(["a"] * 2, pd.Series(["a", np.nan], [1, 0], object))


def test_an_invalid_row_is_told_by_another_process_as_by_this():
    with pytest.raises(ValueError) as caught:
        make(["a", None], ["a", "b"])
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.reason) == (str(caught.value), "not a string")


def end_of(policy):
    tokenizer = policy.preprocessor.tokenizer
    return tokenizer.id_to_token(tokenizer.end_token_id)


# RWKV7 reads prompts apart, and so is no policy for demonstrations.
@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "rwkv7"])
def test_an_end_token_that_is_written_out_is_no_action(family):
    policy = shared_policy(family)
    end = end_of(policy)
    with pytest.warns(UserWarning, match="1 of 2 responses end in a special"):
        made = demonstrations(policy, ["a", "b"], [f"call{end}", "dog"], 2)
    same(made[0], demonstrations(policy, ["a", "b"], ["call", "dog"], 2)[0])
    message = rf"Row 1: .*at character 4.*responses\[1\]='call{re.escape(end)}"
    with pytest.raises(ValueError, match=message):
        demonstrations(policy, ["a", "b"], ["dog", f"call{end} me"], 2)


@pytest.mark.parametrize("family", ["t5", "bart", "gpt2", "llama", "gemma"])
def test_a_prompt_does_not_end_or_begin_anew(family):
    policy = shared_policy(family)
    end = end_of(policy)
    message = rf"Row 0: .*{re.escape(end)}' at character 4.*prompts\[0\]"
    for pack in (demonstrations, packed_demonstrations):
        if pack is demonstrations or family in ("gpt2", "llama"):
            with pytest.raises(ValueError, match=message):
                pack(policy, [f"call{end} me"], ["dog"], 1)
    with pytest.warns(UserWarning, match="Dropped 1 of 2 rows"):
        made = demonstrations(
            policy, [f"call{end} me", "a"], ["dog"] * 2, 1, on_invalid="drop"
        )
    assert made.dropped == {"special token in a text": 1}


def test_a_start_token_before_a_prompt_is_there_once():
    policy = shared_policy("llama3")
    with pytest.warns(UserWarning, match="1 of 1 prompts begin or end with"):
        made = demonstrations(policy, ["<|begin_of_text|>call"], ["me"], 1)
    same(made[0], demonstrations(policy, ["call"], ["me"], 1)[0])


def test_prompts_of_chat_templates_keep_their_turns():
    policy = shared_policy("qwen3_5")
    tokenizer = policy.preprocessor.tokenizer
    prompt = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        inputs, actions, mask = demonstrations(policy, [prompt], ["me"], 1)[0]
    read = inputs["token_ids"][0].tolist()
    assert read.count(tokenizer.token_to_id("<|im_start|>")) == 2
    assert read.count(tokenizer.token_to_id("<|im_end|>")) == 1
    ids = [*map(int, tokenizer("me")), tokenizer.end_token_id]
    assert actions[0, mask[0] > 0].tolist() == ids
    # In a response, a turn would begin that is not the assistant's.
    with pytest.raises(ValueError, match=r"'<\|im_start\|>' at character 2"):
        demonstrations(policy, ["a"], ["me<|im_start|>user"], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 10**12}, "from 1 to 1048576"),
        ({"batch_size": "2"}, "Received: batch_size='2'"),
        ({"batch_size": None}, "Received: batch_size=None"),
        ({"batch_size": True}, "Received: batch_size=True"),
        ({"seed": -1}, "Received: seed=-1"),
        ({"seed": 10**400}, "Received: seed=an integer of"),
        ({"max_length": 10**9}, "to 1048576.*Received: max_length=1000000000"),
        ({"max_length": 2.0}, "Received: max_length=2.0"),
        ({"on_invalid": None}, "Received: on_invalid=None"),
    ],
)
def test_numbers_are_checked_before_a_text_is_read(arguments, message):
    arguments = {"batch_size": 1} | arguments
    with pytest.raises(ValueError, match=message):
        demonstrations(shared_policy("gpt2"), ["a"], ["b"], **arguments)


def test_numbers_of_numpy_are_numbers():
    made = demonstrations(
        shared_policy("gpt2"),
        ["a", "b"],
        ["b", "c"],
        np.int64(2),
        max_length=np.array(9),
        seed=np.uint8(3),
    )
    same(
        made[0],
        demonstrations(
            shared_policy("gpt2"),
            ["a", "b"],
            ["b", "c"],
            2,
            max_length=9,
            seed=3,
        )[0],
    )
    assert len(list(made.epochs(np.int32(2), np.int8(1)))) == 1


def test_demonstrations_can_be_copied_and_sent():
    made = make(["a", "b", "c"], ["b", "c", "a"], "gpt2", seed=1)
    same(made[1], copy.deepcopy(made)[1])
    sent = pickle.loads(pickle.dumps(made))
    same(made[1], sent[1])
    assert (sent.num_rows, len(sent)) == (3, 2)
