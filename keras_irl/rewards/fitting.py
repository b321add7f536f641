"""Texts that a policy's window does not hold."""

from keras_irl.data.tokenization import text_packer
from keras_irl.rewards.texts import TextBatches
from keras_irl.rewards.texts import check_texts


class ResponseCutter:
    """Cuts responses to what the window of a policy holds.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
    """

    def __init__(self, policy):
        self._packer = text_packer(policy)

    def __call__(self, prompts, responses):
        """Cuts those responses that are too long.

        Args:
            prompts: List of strings.
            responses: List of strings, as long.

        Returns:
            The responses, a list of strings, and whether each was cut, a list
            of booleans. A response to a prompt that leaves no room for any is
            returned as it is.
        """
        texts = [
            self._cut(*pair) for pair in zip(prompts, responses, strict=True)
        ]
        are_cut = [a != b for a, b in zip(texts, responses, strict=True)]
        return texts, are_cut

    def _cut(self, prompt, response):
        packer = self._packer
        room = packer.max_length - packer.prefix_length(self._length(prompt))
        tokens = self._tokens(response)
        if room < 1 or len(tokens) <= room:
            return response
        text = response
        # Other tokens may be found in a text than it was made of.
        while self._length(text) > room:
            tokens = tokens[: min(room, len(tokens) - 1)]
            text = self._text(tokens)
        return text

    def _tokens(self, text):
        # Not all tokenizers take a list of nothing but an empty text.
        return self._packer.tokenize([text])[0] if text else []

    def _length(self, text):
        return len(self._tokens(text))

    def _text(self, tokens):
        # Nor all a list without tokens.
        if not tokens:
            return ""
        return str(self._packer.tokenizer.detokenize([tokens])[0])


def check_prompts(policy, prompts):
    """Finds out that prompts leave no room for an action, before the work.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.
        prompts: List of strings.

    Raises:
        ValueError: If one does.
    """
    batches = TextBatches(policy, 1)
    check_texts(prompts, prompts)
    responses = [""] * len(prompts)
    next(batches(prompts, responses, [True] * len(prompts)))
