"""Chat templates: how the turns of a conversation become text."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

from keras_irl.families.special_tokens import Marks

if TYPE_CHECKING:
    from keras_irl.data.tokenization import TextPacker


ROLES = ("system", "user", "assistant")


class Turn(NamedTuple):
    """A turn of a conversation.

    Attributes:
        role: One of `ROLES`.
        content: String, what is said.
        is_imitated: Whether it is the assistant's, of a weight that is not 0.
    """

    role: str
    content: str
    is_imitated: bool


class ChatTemplate(NamedTuple):
    r"""Text around the turns of a conversation. Nothing is executed.

    A turn of the system or the user is its start, its content and
    `turn_end`. A turn of the assistant is its start, its content, the end
    token, which is an action like the content, and `after_end_token`, which
    is not.

    Attributes:
        system_start: String before what the system says.
        user_start: String before what the user says.
        assistant_start: String before what the assistant says: the end of the
            prompt in which generation starts.
        turn_end: String after a turn of the system or the user.
        end_token: The token that ends what the assistant says; pass it to
            `generate` as `stop_token_ids`. `None`, that of the tokenizer.
        after_end_token: String after the end token.
        special_tokens: Tuple of the parts of these strings that are single
            tokens of the vocabulary, and are looked up there.

    Example:
    >>> CHATML.user_start
    '<|im_start|>user\n'
    """

    system_start: str
    user_start: str
    assistant_start: str
    turn_end: str
    end_token: str | None = None
    after_end_token: str = ""
    special_tokens: tuple = ()


PLAIN = ChatTemplate(
    system_start="",
    user_start="User:\n",
    assistant_start="Assistant:\n",
    turn_end="\n\n",
)
CHATML = ChatTemplate(
    system_start="<|im_start|>system\n",
    user_start="<|im_start|>user\n",
    assistant_start="<|im_start|>assistant\n",
    turn_end="<|im_end|>\n",
    end_token="<|im_end|>",
    after_end_token="\n",
    special_tokens=("<|im_start|>", "<|im_end|>"),
)


def joined_turns(turns: Sequence[Turn], template: ChatTemplate = PLAIN) -> str:
    """Joins turns to the prompt that the assistant answers next.

    Where `chat_demonstrations` puts the end token behind what the assistant
    has said, there stands `turn_end`: a prompt is text and has no tokens.

    Args:
        turns: List of `Turn`.
        template: A `ChatTemplate`. Defaults to `PLAIN`.

    Returns:
        String.
    """
    starts = {
        "system": template.system_start,
        "user": template.user_start,
        "assistant": template.assistant_start,
    }
    texts = [
        f"{starts[turn.role]}{turn.content}{template.turn_end}"
        for turn in turns
    ]
    return "".join([*texts, template.assistant_start])


class EncodedTemplate:
    """A template in the tokens of a policy.

    Args:
        template: A `ChatTemplate`.
        packer: A `TextPacker`.

    Attributes:
        starts: Dict from roles to lists of ids.
        turn_end: List of ids.
        end_id: The id of the end token.
        after_end_token: List of ids.
        special_ids: Set of the ids that no content may hold: with them it
            would end its turn or begin another.
        marks: The `Marks` with these tokens, written out.

    Raises:
        ValueError: If the tokenizer lacks a special token.
    """

    def __init__(self, template: ChatTemplate, packer: "TextPacker") -> None:
        if not isinstance(template, ChatTemplate):
            raise ValueError(
                "`template` must be a `keras_irl.data.ChatTemplate`, such as "
                "`keras_irl.data.CHATML`. Received: template of type "
                f"{type(template).__name__}"
            )
        tokenizer = packer.tokenizer
        self._packer = packer
        self._special = {
            token: _look_up(tokenizer, token)
            for token in template.special_tokens
        }
        self.starts = {
            "system": self._encode(template.system_start),
            "user": self._encode(template.user_start),
            "assistant": self._encode(template.assistant_start),
        }
        self.turn_end = self._encode(template.turn_end)
        self.after_end_token = self._encode(template.after_end_token)
        self.end_id = packer.end_id
        if template.end_token is not None:
            self.end_id = _look_up(tokenizer, template.end_token)
        self.special_ids = {
            packer.end_id,
            self.end_id,
            *self._special.values(),
            *tokenizer.special_token_ids,
        }
        names = map(tokenizer.id_to_token, sorted(self.special_ids))
        # Not all tokenizers read a token where it is written out.
        self.marks = Marks(refused=tuple(map(str, names)))

    def _encode(self, text):
        if not self._special:
            return self._tokenize(text)
        pattern = "|".join(map(re.escape, self._special))
        ids = []
        for part in re.split(f"({pattern})", text):
            special = self._special.get(part)
            ids += self._tokenize(part) if special is None else [special]
        return ids

    def _tokenize(self, text):
        return self._packer.tokenize([text])[0] if text else []


def _look_up(tokenizer, token):
    try:
        number = tokenizer.token_to_id(token)
        # Some give the unknown token instead.
        if tokenizer.id_to_token(number) == token:
            return int(number)
    except (ValueError, KeyError):
        pass
    raise ValueError(
        f"The tokenizer has no token {token!r}, which the template needs. Use "
        "`keras_irl.data.PLAIN`, which needs none, or a template of tokens "
        f"that there are. Received: tokenizer={tokenizer}"
    )
