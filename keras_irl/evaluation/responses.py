"""What a policy answered."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Responses:
    """What a policy answered to `P` prompts, `K` times each.

    Attributes:
        texts: `P` lists of `K` strings, without prompt, special tokens and
            what was given as a stop.
        finished: Bool array `(P, K)`: whether the policy ended the text, with
            its end token or a stop. Where False, the window or
            `max_response_length` cut the text.
        num_tokens: Int array `(P, K)`: the tokens that were generated, the
            end token or stop among them.
        seconds: Wall-clock time, of which the first call spends some on
            compiling.
        token_ids: `P` lists of `K` int arrays, the `num_tokens` tokens that
            were generated. The last is the end token where the policy wrote
            it; a stop is no end token. The texts alone do not tell these:
            other tokens may spell the same text. Defaults to `None`, not
            known.
    """

    texts: list
    finished: np.ndarray
    num_tokens: np.ndarray
    seconds: float
    token_ids: list | None = None

    @property
    def tokens_per_second(self):
        """Generated tokens per second, over all rows of a batch."""
        return float(self.num_tokens.sum() / self.seconds)
