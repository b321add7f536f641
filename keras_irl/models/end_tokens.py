"""The tokens at which a policy stops to generate."""

import keras_hub

# What ends a turn there, besides the end token of a text.
_TURN_ENDS = {
    keras_hub.models.Gemma3CausalLM: "<end_of_turn>",
    keras_hub.models.Gemma3nCausalLM: "<end_of_turn>",
    keras_hub.models.Gemma4CausalLM: "<turn|>",
    keras_hub.models.Phi3CausalLM: "<|end|>",
}


def end_token_ids(policy):
    """Lists where `policy.generate(stop_token_ids="auto")` stops.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        A set of ids, empty where the policy has no preprocessor.
    """
    if policy.preprocessor is None:
        return set()
    tokenizer = policy.preprocessor.tokenizer
    # A Llama3 has a second one, and others do not know the attribute.
    ids = {tokenizer.end_token_id, getattr(tokenizer, "end_token2_id", None)}
    for kind, token in _TURN_ENDS.items():
        if isinstance(policy, kind):
            found = tokenizer.token_to_id(token)
            # Unknown tokens have an id too, that of another.
            if found is not None and tokenizer.id_to_token(found) == token:
                ids.add(found)
    return {int(token) for token in ids if token is not None}
