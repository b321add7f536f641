"""What holds for every family of text models in keras-hub."""

import keras
import keras_hub
import numpy as np
import pytest
from families import EXAMPLES
from families import FAMILIES
from families import LINEAR_ATTENTION
from families import family_policy
from families import record_of
from families import shared_policy
from family_table import NO_DEMONSTRATIONS
from family_table import NOT_OF_TEXT
from family_table import table
from family_table import table_in_the_readme
from testing import numpy
from testing import quick_start

import keras_irl
from keras_irl.data import demonstrations
from keras_irl.models import hidden_states
from keras_irl.models import vocabulary_head

PROMPTS, RESPONSES = ("the fox", "call me"), ("a dog", "the lazy")
LENGTH = 24
# Elsewhere each step of a training by hand takes seconds.
IS_CHEAP = keras.config.backend() == "torch"
# Who can't answer prompts while it is trained.
NOT_ONLINE = [
    name for name in FAMILIES if record_of(name).reads_prompt_separately
]
ONLINE = [name for name in FAMILIES if name not in NOT_ONLINE]
HAVE_DEMONSTRATIONS = [
    name for name in FAMILIES if name not in NO_DEMONSTRATIONS
]


def batch_of(policy, family):
    if family not in NO_DEMONSTRATIONS:
        return demonstrations(policy, PROMPTS, RESPONSES, batch_size=2)[0]
    # By hand: no special tokens around the prompt.
    tokenizer = policy.preprocessor.tokenizer
    token_ids = np.zeros((2, LENGTH + 1), "int32")
    mask = np.zeros((2, LENGTH), "float32")
    for row, pair in enumerate(zip(PROMPTS, RESPONSES, strict=True)):
        prompt, response = (
            [int(i) for i in numpy(tokenizer(text))] for text in pair
        )
        text = [*prompt, *response, tokenizer.end_token_id]
        token_ids[row, : len(text)] = text
        mask[row, len(prompt) - 1 : len(text) - 1] = 1.0
    inputs = {
        "token_ids": token_ids[:, :-1],
        "padding_mask": token_ids[:, 1:] != 0,
    }
    return inputs, token_ids[:, 1:], mask


@pytest.mark.parametrize("family", HAVE_DEMONSTRATIONS)
def test_the_response_and_its_end_are_trained_and_no_prompt(family):
    policy = shared_policy(family, LENGTH)
    tokenizer = policy.preprocessor.tokenizer
    _, actions, mask = batch_of(policy, family)
    for ids, weights, response in zip(actions, mask, RESPONSES, strict=True):
        assert set(weights) == {0.0, 1.0}
        *words, end = ids[weights > 0].tolist()
        assert end == tokenizer.end_token_id
        assert tokenizer.detokenize([words])[0].strip() == response


@pytest.mark.parametrize("family", FAMILIES)
def test_tiled_or_not_the_logits_and_the_first_loss_are_the_same(family):
    policy = shared_policy(family, LENGTH)
    inputs, actions, mask = batch_of(policy, family)
    hidden, logits = hidden_states(policy, inputs), policy(inputs)
    found = vocabulary_head(policy).q_values(hidden)
    np.testing.assert_allclose(
        numpy(found), numpy(logits), rtol=1e-5, atol=1e-5
    )
    # IQLearn logs the likelihood too, which is all that a plain MLE adds up.
    for objective, weight in ((keras_irl.IQLearn, 0.1), (keras_irl.MLE, 0.1)):
        logs = []
        for tiles, outputs in ((True, hidden), (False, logits)):
            trainer = objective(policy, weight)
            trainer.tiles_vocabulary = tiles
            loss = trainer.compute_loss(inputs, actions, outputs, mask, False)
            means = trainer.means.items()
            means = {name: float(mean.result()) for name, mean in means}
            logs.append({"loss": float(loss), **means})
        assert logs[0] == pytest.approx(logs[1], rel=1e-4)


@pytest.mark.parametrize(
    ("family", "choice"),
    [
        ("t5", "tie_embedding_weights"),
        ("llama", "tie_word_embeddings"),
        ("qwen", "tie_word_embeddings"),
        ("t5gemma", "tie_word_embeddings"),
    ],
)
def test_the_head_is_right_whether_it_is_tied_or_not(family, choice):
    shared = shared_policy(family, LENGTH)
    is_tied = vocabulary_head(shared).axes == "VD"
    config = {**shared.backbone.get_config(), choice: not is_tied}
    backbone = type(shared.backbone).from_config(config)
    policy = type(shared)(backbone=backbone, preprocessor=shared.preprocessor)
    head = vocabulary_head(policy)
    assert head.axes == ("DV" if is_tied else "VD")
    inputs, _, _ = batch_of(policy, family)
    np.testing.assert_allclose(
        numpy(head.q_values(hidden_states(policy, inputs))),
        numpy(policy(inputs)),
        rtol=1e-5,
        atol=1e-5,
    )


def fit(trainer, batch, tile_vocabulary):
    optimizer = keras.optimizers.Adam(5e-3)
    trainer.compile(optimizer, tile_vocabulary=tile_vocabulary)
    inputs, actions, mask = batch
    return trainer.fit(
        inputs, actions, sample_weight=mask, epochs=4, verbose=0
    ).history["loss"]


@pytest.mark.parametrize("family", FAMILIES)
def test_learns_generates_and_is_saved(family, tmp_path):
    sizes = LINEAR_ATTENTION if family.startswith("qwen3_5") else {}
    policy = quick_start(family_policy(family, LENGTH, **sizes))
    batch = batch_of(policy, family)
    if IS_CHEAP:
        losses = fit(keras_irl.MLE(policy), batch, tile_vocabulary=False)
        assert losses[-1] < losses[0]
    trainer = keras_irl.IQLearn(policy, td_weight=0.01)
    losses = fit(trainer, batch, tile_vocabulary=True)
    assert losses[-1] < losses[0]

    policy.compile(sampler="greedy")
    texts = policy.generate([*PROMPTS], max_length=LENGTH)
    assert [type(text) for text in texts] == [str, str]

    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.saving.load_model(tmp_path / "trainer.keras")
    inputs, _, _ = batch
    np.testing.assert_allclose(
        numpy(loaded.policy(inputs)), numpy(policy(inputs)), rtol=1e-5
    )


# Of the others decoded_families_test.py tells that they write, the test above
# that they learn.
@pytest.mark.backends("torch")
@pytest.mark.parametrize(
    "family",
    [
        name if name in EXAMPLES else pytest.param(name, marks=pytest.mark.slow)
        for name in ONLINE
    ],
)
def test_objectives_that_draw_texts_of_their_own_move_the_policy(family):
    policy = quick_start(family_policy(family, LENGTH))
    inputs, actions, mask = batch_of(policy, family)
    at_once = keras_irl.PolicyGradient(warmup_steps=0)
    for trainer in (
        keras_irl.OnlineIQLearn(policy, td_weight=0.01),
        keras_irl.GAIL(policy, policy_gradient=at_once),
    ):
        before = policy.get_weights()
        trainer.compile(keras.optimizers.Adam(5e-3))
        losses = trainer.fit(
            inputs, actions, sample_weight=mask, verbose=0
        ).history["loss"]
        assert np.isfinite(losses).all()
        moved = [
            np.abs(after - start).max()
            for after, start in zip(policy.get_weights(), before, strict=True)
        ]
        assert np.isfinite(moved).all()
        assert max(moved) > 1e-3


@pytest.mark.parametrize("family", NOT_ONLINE)
def test_who_can_not_draw_texts_of_its_own_says_why(family):
    policy = shared_policy(family, LENGTH)
    reason = "reads prompts and responses apart"
    for objective in (keras_irl.OnlineIQLearn, keras_irl.GAIL):
        with pytest.raises(ValueError, match=f"{reason}.*Received: policy of"):
            objective(policy)


@pytest.mark.parametrize("family", NO_DEMONSTRATIONS)
def test_what_keras_hub_can_not_preprocess_still_fails(family):
    policy = shared_policy(family, LENGTH)
    with pytest.raises(Exception, match="out of (bounds|range)"):
        policy.preprocessor.generate_preprocess([""], sequence_length=LENGTH)
    with pytest.raises(Exception, match="out of (bounds|range)"):
        demonstrations(policy, PROMPTS, RESPONSES, 2)


def test_a_gemma4_that_caps_its_logits_twice_has_no_known_head():
    shared = shared_policy("gemma4", LENGTH)
    policy = type(shared)(
        backbone=shared.backbone, preprocessor=None, final_logit_cap=3.0
    )
    with pytest.raises(ValueError, match="capped twice.*Received: final"):
        vocabulary_head(policy)
    assert not keras_irl.families.heads.has_known_head(policy)


def test_no_family_is_forgotten():
    found = {
        model
        for model in vars(keras_hub.models).values()
        if isinstance(model, type)
        and issubclass(model, keras_hub.models.CausalLM)
    }
    known = {type(shared_policy(name, LENGTH)) for name in FAMILIES}
    assert found == known | set(NOT_OF_TEXT)


def test_the_table_in_the_readme_is_up_to_date():
    # python tests/family_table.py --write
    assert table_in_the_readme() == table()
