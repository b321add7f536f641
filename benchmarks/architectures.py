"""T5 and GPT-2 of random weights, alike in Keras and in PyTorch."""

MODELS = {
    # layers, heads, width, inner width, vocabulary
    "t5-60m": (6, 8, 512, 2048, 32128),
    "gpt2-124m": (12, 12, 768, 3072, 50257),
    "t5-mini": (2, 4, 128, 256, 1000),
    "gpt2-mini": (2, 4, 128, 512, 1000),
}


class Sizes:
    """The sizes of a model, and of the batch it is given."""

    def __init__(self, name, batch, length):
        self.name = name
        self.is_t5 = name.startswith("t5")
        (
            self.layers,
            self.heads,
            self.width,
            self.inner,
            self.vocabulary,
        ) = MODELS[name]
        self.batch, self.length = batch, length

    def step_flops(self):
        """Operations of the matrix products of a training step, at least.

        Two for each weight and token, and as many again twice for the
        gradients: of weights and of what they are multiplied with. Attention
        is counted over all pairs of tokens; nothing is computed twice.
        """
        attentions = 3 if self.is_t5 else 1
        weights = 4 * attentions * self.width**2
        weights += (2 if self.is_t5 else 1) * 2 * self.width * self.inner
        pairs = 2 * attentions * self.length * self.width
        head = self.width * self.vocabulary
        per_token = 2 * (self.layers * (weights + pairs) + head)
        return 3 * per_token * self.batch * self.length


def keras_policy(sizes, preprocessor=None):
    import keras_hub

    shared = {
        "vocabulary_size": sizes.vocabulary,
        "num_layers": sizes.layers,
        "num_heads": sizes.heads,
        "hidden_dim": sizes.width,
        "intermediate_dim": sizes.inner,
        "dropout": 0.0,
    }
    models = keras_hub.models
    if sizes.is_t5:
        backbone = models.T5Backbone(
            **shared,
            key_value_dim=sizes.width // sizes.heads,
            activation="relu",
            use_gated_activation=False,
        )
        return models.T5Seq2SeqLM(backbone, preprocessor)
    backbone = models.GPT2Backbone(
        **shared, max_sequence_length=max(sizes.length, 128)
    )
    return models.GPT2CausalLM(backbone, preprocessor)


def torch_model(sizes):
    import transformers

    if sizes.is_t5:
        config = transformers.T5Config(
            vocab_size=sizes.vocabulary,
            d_model=sizes.width,
            d_kv=sizes.width // sizes.heads,
            d_ff=sizes.inner,
            num_layers=sizes.layers,
            num_heads=sizes.heads,
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
        return transformers.T5ForConditionalGeneration(config)
    config = transformers.GPT2Config(
        vocab_size=sizes.vocabulary,
        n_positions=max(sizes.length + 1, 128),
        n_embd=sizes.width,
        n_layer=sizes.layers,
        n_head=sizes.heads,
        n_inner=sizes.inner,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return transformers.GPT2LMHeadModel(config)
