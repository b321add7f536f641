"""Special tokens that stand written out in a text.

Many tokenizers read `<|endoftext|>` in a text as the token that ends it, and
the others spell it in letters. Neither is what was meant: the end token is put
behind a response when it is read, and a text that goes on behind its end
teaches nothing.
"""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_irl.families.family import ALL_TURNS
from keras_irl.families.family import layout_of
from keras_irl.families.family import nearest_family
from keras_irl.keras_seams import token_id
from keras_irl.types import Policy


def end_token_ids(policy: Policy) -> set[int]:
    """Lists where `policy.generate(stop_token_ids="auto")` stops.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM`.

    Returns:
        A set of ids, empty where the policy has no preprocessor.
    """
    if policy.preprocessor is None:
        return set()
    tokenizer = policy.preprocessor.tokenizer
    family = nearest_family(policy)
    ids = {tokenizer.end_token_id, token_id(tokenizer, family.second_end)}
    for mark in family.turns.ends if family.stops_at_turns else ():
        found = tokenizer.token_to_id(mark)
        # Unknown tokens have an id too, that of another.
        if found is not None and tokenizer.id_to_token(found) == mark:
            ids.add(found)
    return {int(token) for token in ids if token is not None}


_PROBE_LENGTH = 8


class Marks(NamedTuple):
    """Special tokens that a text may have at its border at most.

    Attributes:
        before: Marks that are put before a text when it is read, so that one
            that it begins with can be left out.
        after: Marks that are put behind it, likewise.
        refused: All that it must not hold.
    """

    before: tuple = ()
    after: tuple = ()
    refused: tuple = ()

    def strip(self, text: str) -> str:
        """Leaves out one mark before and one behind a text.

        Args:
            text: String.

        Returns:
            String; the same object where there is no mark.

        Example:
        >>> Marks(after=("</s>",)).strip("5</s>")
        '5'
        """
        if not any(mark in text for mark in (*self.before, *self.after)):
            return text
        for mark in self.before:
            if text.startswith(mark):
                text = text.removeprefix(mark)
                break
        for mark in self.after:
            # A line of a file may go on with a line break.
            tail = text if mark.isspace() else text.rstrip()
            if tail.endswith(mark):
                return tail.removesuffix(mark)
        return text

    def find(self, text: str) -> tuple[str, int] | None:
        """Finds the first mark that a text must not have.

        Args:
            text: String, after `strip`.

        Returns:
            The tuple of the mark and the place where it begins, or `None`.

        Example:
        >>> Marks(refused=("</s>",)).find("5</s>hello")
        ('</s>', 1)
        """
        places = [(text.find(m), m) for m in self.refused if m in text]
        if not places:
            return None
        place, mark = min(places)
        return mark, place


def text_marks(policy: Policy) -> tuple[Marks, Marks]:
    """Lists the marks of prompts and of responses.

    A response may have none of the tokens that start, end or pad a text or a
    turn. In a prompt, those of turns are what a chat template is made of.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` with its preprocessor.

    Returns:
        The tuple of the `Marks` of prompts and those of responses.
    """
    tokenizer = policy.preprocessor.tokenizer
    special = set(map(int, tokenizer.special_token_ids))
    ends = end_token_ids(policy)
    borders = {
        token_id(tokenizer, "start_token_id"),
        token_id(tokenizer, "pad_token_id"),
    }
    names: dict[Any, str] = {
        number: _text(tokenizer.id_to_token(number))
        for number in sorted(special | ends)
    }
    turn_ends = {i for i in names if names[i] in ALL_TURNS.ends}
    # A prompt may be made of them.
    turns = turn_ends | {i for i in names if names[i] in ALL_TURNS.starts}
    refused = ends | (borders & special)
    frame = _frame(policy)

    def written(numbers):
        return tuple(names[i] for i in sorted(numbers))

    has_encoder = layout_of(policy).has_encoder
    after = {i for i in frame if i in ends} if has_encoder else set()
    prompts = Marks(
        before=written((frame & special) - after),
        after=written(after),
        # An end that is a mere line break is one of the response alone.
        refused=written(i for i in refused - turns if names[i].strip()),
    )
    responses = Marks(
        after=written(ends | turn_ends), refused=written(refused | turns)
    )
    return prompts, responses


def left_out(num_texts: int, num_all: int, name: str) -> str:
    """Text of the warning that special tokens were left out.

    Args:
        num_texts: The number of texts that had one.
        num_all: The number of all texts.
        name: `"prompts"` or `"responses"`.

    Returns:
        A sentence or two.
    """
    where = "begin or end with" if name == "prompts" else "end in"
    return (
        f"{num_texts} of {num_all} {name} {where} a special token, written "
        "out. It was left out, since it is put there when texts are read."
    )


def _frame(policy):
    """The ids that a preprocessor makes of a prompt."""
    layout = layout_of(policy)
    packed = layout.encode(
        policy.preprocessor, ["a"], _PROBE_LENGTH, _PROBE_LENGTH
    )
    names = layout.prompt_inputs or (layout.token_ids, layout.padding_mask)
    ids, is_real = (ops.convert_to_numpy(packed[name])[0] for name in names)
    if ids.shape != is_real.shape:
        return set()  # RWKV7 reads prompts apart, and puts nothing around them.
    return set(ids[is_real.astype("bool")].tolist())


def _text(token):
    """A token as a string; those of RWKV7 are bytes."""
    return token.decode(errors="replace") if isinstance(token, bytes) else token
