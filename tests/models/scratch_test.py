import json
import math
import random

import keras
import keras_hub
import numpy as np
import pytest
import testing

from keras_irl.data import demonstrations
from keras_irl.models import load_policy
from keras_irl.models import scratch_policy
from keras_irl.models.scratch import MAX_TEXTS
from keras_irl.models.scratch import draw_texts

FAMILIES = ("t5", "gpt2", "bart")
TEXTS = (
    *testing.PROMPTS,
    *testing.RESPONSES,
    "Tom has 12 apples.\nHe  eats 5:\n12 - 5 = <<12-5=7>>7\n#### 7",
)


def tiny(family, texts=TEXTS, **kwargs):
    kwargs = {"max_prompt_length": 16, "max_length": 24, **kwargs}
    return scratch_policy(f"{family}-scratch-tiny", texts, **kwargs)


@pytest.fixture(scope="module", params=FAMILIES)
def policy(request):
    return tiny(request.param)


def family_of(policy):
    name = type(policy).__name__.lower()
    return next(family for family in FAMILIES if name.startswith(family))


def round_trip(policy, texts):
    tokenizer = policy.preprocessor.tokenizer
    return [tokenizer.detokenize(tokens) for tokens in tokenizer(list(texts))]


def inputs(policy, texts):
    """What the policy reads and its next tokens, as keras-hub packs them."""
    if isinstance(policy, keras_hub.models.Seq2SeqLM):
        texts = {"encoder_text": texts, "decoder_text": texts}
    batch = policy.preprocessor(texts)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, batch)


def logits(policy, x):
    # Compiled as a whole; op by op, JAX would compile each of them.
    return keras.Model.predict_on_batch(policy, x)


def weights(policy):
    return [keras.ops.convert_to_numpy(w) for w in policy.weights]


def test_a_text_comes_back_as_it_was_newlines_and_spaces_included(policy):
    texts = [*TEXTS, "the  dog\n\nis 12\n", " call me", ""]
    assert round_trip(policy, texts) == texts


def test_characters_are_not_normalized(policy):
    # Compatibility, full width, a composed letter and one of two characters.
    texts = ["\ufb01ve \uff11\u3000\u00b2", "\u00e9 e\u0301", "1\u00a02"]
    own = tiny(family_of(policy), [*TEXTS, *texts])
    assert round_trip(own, texts) == texts


def test_a_tokenizer_is_read_without_a_word(capfd):
    tiny("t5").preprocessor.tokenizer(["the dog"])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("family", FAMILIES)
def test_real_texts_come_back_as_they_were(family):
    texts = []
    for line in (testing.shared_data("gsm8k") / "test.jsonl").open():
        row = json.loads(line)
        texts += [row["question"], row["answer"]]
    policy = tiny(family, texts)
    assert round_trip(policy, texts) == texts


def test_numbers_are_read_digit_by_digit(policy):
    tokenizer = policy.preprocessor.tokenizer
    pieces = [tokenizer.id_to_token(int(i)) for i in tokenizer("x 12345")]
    assert sum(piece.isdigit() for piece in pieces) == 5


def test_the_same_texts_and_seed_make_the_same_policy(policy):
    family = type(policy).__name__.removesuffix("CausalLM").lower()
    family = family.removesuffix("seq2seqlm")
    random.seed(1)
    state = random.getstate()
    again = tiny(family, (text for text in TEXTS))
    assert random.getstate() == state
    assert list(round_trip(again, TEXTS)) == list(TEXTS)
    for one, other in zip(weights(policy), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    different = tiny(family, seed=1)
    assert not np.array_equal(weights(policy)[0], weights(different)[0])


def test_weights_are_drawn_by_numpy_and_so_the_same_on_every_backend():
    policy = tiny("t5")
    first, *_ = policy.backbone.token_embedding.get_weights()
    generator = np.random.default_rng(0)
    expected = generator.standard_normal(first.shape, "float32")
    np.testing.assert_allclose(first, expected, rtol=1e-6)


def test_starts_with_the_loss_of_guessing(policy):
    x, actions, mask = inputs(policy, list(TEXTS))
    q_values = logits(policy, x).astype("float64")
    values = np.log(np.exp(q_values).sum(-1))
    taken = np.take_along_axis(q_values, actions[..., None], -1)[..., 0]
    guessing = np.log(q_values.shape[-1])
    np.testing.assert_allclose(values[mask], guessing, atol=0.5)
    nll = (values - taken)[mask].mean()
    np.testing.assert_allclose(nll, guessing, atol=0.5)


def test_learns_to_repeat_what_it_reads_and_writes_it(policy):
    x, actions, mask = inputs(policy, list(TEXTS))
    before = policy.get_weights()
    policy.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        sampler="greedy",
    )
    history = keras.Model.fit(
        policy,
        x,
        actions,
        sample_weight=mask.astype("float32"),
        epochs=40,
        verbose=0,
    )
    outputs = policy.generate(
        ["der schnelle", "call"], strip_prompt=testing.is_causal(policy)
    )
    policy.set_weights(before)
    losses = history.history["loss"]
    assert losses[-1] < 0.2 * losses[0]
    assert all(output.strip() for output in outputs)


def test_texts_are_as_long_as_the_job_needs(policy):
    preprocessor = policy.preprocessor
    assert preprocessor.sequence_length == 24
    if isinstance(policy, keras_hub.models.Seq2SeqLM):
        assert preprocessor.encoder_sequence_length == 16


def test_the_token_that_gpt2_pads_with_is_trained_where_it_is_text():
    policy = tiny("gpt2")
    tokenizer = policy.preprocessor.tokenizer
    last = tokenizer.vocabulary_size() - 1
    assert tokenizer.end_token_id == last != tokenizer.pad_token_id
    padding = tokenizer.id_to_token(tokenizer.pad_token_id)
    response = f"me{padding}"
    ((_, actions, mask),) = demonstrations(policy, ["call"], [response], 1)
    *tokens, end = actions[mask > 0].tolist()
    assert tokens[-1] == tokenizer.pad_token_id
    assert tokenizer.detokenize(tokens) == response
    assert end == tokenizer.end_token_id


def test_a_saved_policy_is_loaded_from_its_folder(policy, tmp_path):
    policy.save_to_preset(tmp_path)
    again = load_policy(tmp_path, max_prompt_length=12, max_length=20)
    assert type(again) is type(policy)
    assert again.preprocessor.sequence_length == 20
    assert round_trip(again, TEXTS) == list(TEXTS)
    x, actions, _ = inputs(again, list(TEXTS))
    assert actions.shape == (len(TEXTS), 20)
    np.testing.assert_allclose(logits(policy, x), logits(again, x), atol=1e-5)


def test_an_encoder_and_a_decoder_have_lengths_of_their_own():
    policy = load_policy("bart-scratch-tiny", TEXTS, 40, 8)
    x, _, _ = inputs(policy, list(TEXTS))
    assert x["encoder_token_ids"].shape == (len(TEXTS), 40)
    assert x["decoder_token_ids"].shape == (len(TEXTS), 8)
    assert logits(policy, x).shape[:2] == (len(TEXTS), 8)


def test_larger_names_are_larger_policies():
    tiny, mini = (
        scratch_policy(f"gpt2-scratch-{size}", TEXTS).count_params()
        for size in ("tiny", "mini")
    )
    assert tiny < mini


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_of_single_letters_have_a_tokenizer_too(family):
    policy = tiny(family, ["a", "b"])
    assert round_trip(policy, ["a", "b"]) == ["a", "b"]


def test_characters_are_covered_when_the_vocabulary_is_too_small():
    letters = [chr(0x4E00 + i) for i in range(300)]
    texts = ["".join(letters[i : i + 20]) for i in range(0, 300, 20)]
    policy = tiny("t5", texts, vocabulary_size=100)
    assert round_trip(policy, texts) == texts


def test_a_sample_of_many_texts_is_drawn_evenly():
    sample = draw_texts(str(i) for i in range(3 * MAX_TEXTS))
    assert len(sample) == MAX_TEXTS
    assert len(set(sample)) == MAX_TEXTS
    np.testing.assert_allclose(
        np.mean([int(text) for text in sample]), 1.5 * MAX_TEXTS, rtol=0.02
    )


@pytest.mark.parametrize(
    "name", ["t5-scratch-huge", "t5-scratch", "bert-scratch-tiny"]
)
def test_an_unknown_scratch_policy_is_an_error_that_lists_them(name):
    with pytest.raises(ValueError, match=f"t5.*tiny.*Received: name='{name}'"):
        load_policy(name, TEXTS)


@pytest.mark.parametrize("texts", [None, [], ["", " "], "one string"])
def test_no_texts_are_an_error(texts):
    with pytest.raises(ValueError, match="Received: texts="):
        load_policy("t5-scratch-tiny", texts)


def test_a_text_that_is_no_string_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"Received: texts\[1\]=5"):
        load_policy("t5-scratch-tiny", ["a", 5])


@pytest.mark.parametrize(
    ("family", "lengths", "positions"),
    [("gpt2", (16, 24), 25), ("bart", (16, 24), 25), ("bart", (40, 24), 41)],
)
def test_there_is_a_position_for_the_last_token_that_a_policy_writes(
    family, lengths, positions
):
    policy = scratch_policy(f"{family}-scratch-tiny", TEXTS, *lengths)
    assert policy.backbone.get_config()["max_sequence_length"] == positions
    assert policy.preprocessor.sequence_length == 24


@pytest.mark.parametrize(
    ("argument", "bounds"),
    [
        ("max_length", "1 to 1048576"),
        ("max_prompt_length", "1 to 1048576"),
        ("vocabulary_size", "1 to 1048576"),
        ("seed", "0 to 4294967295"),
    ],
)
@pytest.mark.parametrize("value", [-1, 1.5, True, "8", 10**12, math.nan])
def test_numbers_out_of_bounds_are_refused(argument, bounds, value):
    message = f"`{argument}` must be an integer from {bounds}.*{argument}="
    with pytest.raises(ValueError, match=message):
        scratch_policy("t5-scratch-tiny", TEXTS, **{argument: value})
    if argument != "vocabulary_size":
        with pytest.raises(ValueError, match=message):
            load_policy("gpt2-scratch-tiny", TEXTS, **{argument: value})


def test_numbers_of_numpy_are_numbers():
    lengths = (np.int64(16), np.int32(24))
    policy = scratch_policy("t5-scratch-tiny", TEXTS, *lengths, seed=np.int8(3))
    assert policy.preprocessor.encoder_sequence_length == 16
    assert policy.preprocessor.decoder_sequence_length == 24
    again = scratch_policy("t5-scratch-tiny", TEXTS, 16, 24, seed=3)
    np.testing.assert_array_equal(weights(policy)[0], weights(again)[0])


@pytest.mark.parametrize("family", ["t5", "gpt2", "bart"])
@pytest.mark.parametrize("size", [0, 1.5, "9", None, True, 10**12])
def test_a_vocabulary_has_a_size(family, size):
    with pytest.raises(ValueError, match="to 1048576.*Received: vocabulary_s"):
        scratch_policy(f"{family}-scratch-tiny", ["a"], vocabulary_size=size)


@pytest.mark.parametrize("texts", [{"a": "b"}, None, "ab", 7])
def test_a_tokenizer_is_trained_on_a_column(texts):
    with pytest.raises(ValueError, match="Received: texts="):
        scratch_policy("t5-scratch-tiny", texts)
