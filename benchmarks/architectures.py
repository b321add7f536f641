"""T5, GPT-2 and Gemma of random weights, alike in Keras and in PyTorch."""

MODELS = {
    # layers, heads, width, inner width, vocabulary
    "t5-60m": (6, 8, 512, 2048, 32128),
    "t5-base": (12, 12, 768, 3072, 32128),
    "gpt2-124m": (12, 12, 768, 3072, 50257),
    "gemma-2b": (18, 8, 2048, 16384, 256000),
    "t5-mini": (2, 4, 128, 256, 1000),
    "gpt2-mini": (2, 4, 128, 512, 1000),
    "gemma-mini": (2, 4, 128, 256, 1000),
}


class Sizes:
    """The sizes of a model, and of the batch it is given."""

    def __init__(self, name, batch, length):
        self.name = name
        self.is_t5 = name.startswith("t5")
        self.is_gemma = name.startswith("gemma")
        (
            self.layers,
            self.heads,
            self.width,
            self.inner,
            self.vocabulary,
        ) = MODELS[name]
        self.batch, self.length = batch, length

    def layer_weights(self):
        """The weights that the matrix products of a layer read.

        Of T5 one of the encoder and one of the decoder. All heads of Gemma
        share one key and one value, and its inner layer has a gate.
        """
        square, inner = self.width**2, self.width * self.inner
        if self.is_gemma:
            return (2 + 2 / self.heads) * square + 3 * inner
        if self.is_t5:
            return 12 * square + 4 * inner
        return 4 * square + 2 * inner

    def num_parameters(self):
        """The weights of its matrices; norms and positions are left out."""
        head = self.width * self.vocabulary
        return int(self.layers * self.layer_weights() + head)

    def step_flops(self):
        """Operations of the matrix products of a training step, at least.

        Two for each weight and token, and as many again twice for the
        gradients: of weights and of what they are multiplied with. Attention
        is counted over all pairs of tokens; nothing is computed twice.
        """
        attentions = 3 if self.is_t5 else 1
        pairs = 2 * attentions * self.length * self.width
        head = self.width * self.vocabulary
        per_token = 2 * (self.layers * (self.layer_weights() + pairs) + head)
        return int(3 * per_token * self.batch * self.length)


def keras_policy(sizes, preprocessor=None):
    import keras_hub

    models = keras_hub.models
    shared = {
        "vocabulary_size": sizes.vocabulary,
        "num_layers": sizes.layers,
        "hidden_dim": sizes.width,
        "dropout": 0.0,
    }
    if sizes.is_gemma:
        backbone = models.GemmaBackbone(
            **shared,
            num_query_heads=sizes.heads,
            num_key_value_heads=1,
            head_dim=sizes.width // sizes.heads,
            # Its own count is that of the layer and its gate together.
            intermediate_dim=2 * sizes.inner,
        )
        return models.GemmaCausalLM(backbone, preprocessor)
    shared["num_heads"] = sizes.heads
    shared["intermediate_dim"] = sizes.inner
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

    if sizes.is_gemma:
        config = transformers.GemmaConfig(
            vocab_size=sizes.vocabulary,
            hidden_size=sizes.width,
            intermediate_size=sizes.inner,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=1,
            head_dim=sizes.width // sizes.heads,
        )
        return transformers.GemmaForCausalLM(config)
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
