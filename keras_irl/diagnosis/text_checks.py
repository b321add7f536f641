"""Diagnosis of batches: masks, padding, end tokens, vocabulary."""

import re

from keras_irl.diagnosis.findings import error
from keras_irl.diagnosis.findings import warning

_MANY = 0.5  # Of all texts.


def text_findings(policy, batches, counts, is_made_here):
    """Finds faults of masks, padding and end tokens.

    Args:
        policy: The language model that is trained.
        batches: A list of `Batch`.
        counts: Their `Counts`.
        is_made_here: Whether `demonstrations()` made the batches, which trains
            no prompt and pads the last batch with rows that are not trained.

    Yields:
        `Finding`s.
    """
    yield from _placement(batches)
    if not counts.num_trained:
        yield error(
            "nothing-trained",
            "No token is trained: the mask is 0 everywhere, and the loss NaN.",
            "Set the mask to 1 on the tokens of the responses.",
        )
        return
    if counts.empty_batches:
        yield warning(
            "empty-batches",
            f"{len(counts.empty_batches)} of {counts.num_batches} batches "
            f"train no token (the first is {counts.empty_batches[0]}): their "
            "loss is NaN.",
            "Leave out texts without a response, or shuffle.",
        )
    if counts.num_untrained and not is_made_here:
        yield warning(
            "untrained-texts",
            f"{counts.num_untrained} of {counts.num_texts} texts have no "
            "token that is trained.",
            "Leave them out: they take time and teach nothing.",
        )
    if counts.end_ids:
        yield from _ends(policy, counts)
    yield from _cuts(counts)
    if not is_made_here:
        yield from _prompts(batches, counts)


def vocabulary_findings(batches, policy):
    """Finds token ids and lengths that a policy can't read.

    Args:
        batches: A list of `Batch`.
        policy: The language model that is trained.

    Yields:
        `Finding`s.
    """
    size = policy.output.shape[-1]
    for name in ("actions", "token_ids", "prompt_ids"):
        outside = [
            int(token)
            for array in _columns(batches, name)
            for token in array[(array < 0) | (array >= size)]
        ]
        if outside:
            yield error(
                "ids-outside-the-vocabulary",
                f"{len(outside)} of the {name} are no tokens of this policy, "
                f"such as {outside[0]}: it knows 0 to {size - 1}. Some "
                "backends read other memory there, or zeros.",
                "Tokenize with the tokenizer of this policy, and give "
                "padding an id of its vocabulary.",
            )
    # As in `keras_irl.models.load_policy`.
    limit = policy.backbone.get_config().get("max_sequence_length")
    for name in ("token_ids", "prompt_ids"):
        length = max((a.shape[1] for a in _columns(batches, name)), default=0)
        if limit is not None and length > limit:
            yield error(
                "too-long",
                f"The {name} are {length} long, and the policy has {limit} "
                "positions.",
                "Pass a smaller `max_length`, or a policy that reaches as far.",
            )


def _placement(batches):
    """Looks at what holds for every batch, whoever made it."""
    if any(_is_left_padded(b.padding_mask) for b in batches) or any(
        _is_left_padded(mask) for mask in _columns(batches, "prompt_mask")
    ):
        yield error(
            "left-padding",
            "There is padding on the left of a text. Policies of keras-hub "
            "count positions from the left, as `generate` does.",
            "Pad on the right.",
        )
    num_padding = sum(
        int(((b.mask > 0) & ~b.padding_mask).sum()) for b in batches
    )
    if num_padding:
        yield error(
            "padding-trained",
            f"{num_padding} trained tokens are taken in a state that is "
            "padding.",
            "Set the mask to 0 there, or fix the padding mask.",
        )
    shifted = sum(map(_num_not_next, batches))
    if shifted:
        yield error(
            "not-the-next-token",
            f"{shifted} trained actions are not the token that the next state "
            "shows.",
            "Actions are the tokens shifted by one: the inputs are "
            "`tokens[:, :-1]`, the actions `tokens[:, 1:]`.",
        )


def _ends(policy, counts):
    whole = counts.num_texts - counts.num_cut - counts.num_untrained
    other = None if counts.num_ended else _other_end(policy, counts)
    if other is not None:
        token = policy.preprocessor.tokenizer.id_to_token(other)
        yield warning(
            "another-end-token",
            f"All texts end with {token}, where this policy does not stop by "
            "itself.",
            f"Call `generate` with `stop_token_ids=[{other}]`, or append the "
            "policy's own end token to every response.",
        )
    elif not counts.num_ended:
        yield error(
            "no-end-token",
            "No end token is trained in any text, so the policy will not "
            "learn to stop.",
            "Raise `max_length` so that texts fit."
            if whole <= 0
            else "Append the end token to every response, and give it a mask "
            "of 1, also where its id is that of padding.",
        )
    elif counts.num_ended < (1 - _MANY) * whole:
        yield warning(
            "few-end-tokens",
            f"Only {counts.num_ended} of {whole} texts that are not marked as "
            "cut have an end token that is trained.",
            "Append the end token to every response; mark a text that is cut "
            "with `keras_irl.ops.mark_cut`.",
        )


def _other_end(policy, counts):
    """The id with which all texts end, if it looks like a mark, or `None`."""
    if policy.preprocessor is None or len(counts.last_ids) != 1:
        return None
    (token,) = counts.last_ids
    tokenizer = policy.preprocessor.tokenizer
    if token not in range(tokenizer.vocabulary_size()):
        return None
    # A full stop is no mark.
    is_mark = re.fullmatch(r"<.+>|\[.+\]", tokenizer.id_to_token(token))
    return token if is_mark else None


def _cuts(counts):
    if counts.num_cut > _MANY * counts.num_texts:
        yield warning(
            "most-texts-cut",
            f"{counts.num_cut} of {counts.num_texts} texts do not fit and are "
            "cut.",
            "Pass a larger `max_length`.",
        )


def _prompts(batches, counts):
    has_decoder_alone = batches[0].prompt_ids is None
    if (
        has_decoder_alone
        and counts.num_without_prompt > _MANY * counts.num_texts
    ):
        yield warning(
            "prompt-trained",
            f"In {counts.num_without_prompt} of {counts.num_texts} texts the "
            "very first token is trained: if they begin with a prompt, it is "
            "trained too.",
            "Set the mask to 0 on prompts. `keras_irl.data.demonstrations()` "
            "does so.",
        )


def _columns(batches, name):
    columns = (batch._asdict()[name] for batch in batches)
    return [column for column in columns if column is not None]


def _is_left_padded(padding_mask):
    return bool((padding_mask[:, 1:] & ~padding_mask[:, :-1]).any())


def _num_not_next(batch):
    both = (batch.mask[:, :-1] > 0) & (batch.mask[:, 1:] > 0)
    both &= batch.segment_ids[:, :-1] == batch.segment_ids[:, 1:]
    differ = batch.actions[:, :-1] != batch.token_ids[:, 1:]
    return int((both & differ).sum())
