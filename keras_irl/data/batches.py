"""Batches as NumPy arrays, and counts of their texts and tokens."""

import itertools
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from keras_irl.data.dataset import Demonstrations
from keras_irl.data.texts import KerasBatch
from keras_irl.error_texts import shortened
from keras_irl.families.family import layout_of
from keras_irl.families.special_tokens import end_token_ids
from keras_irl.types import Policy

_FIX = (
    "Pass what `fit` takes: batches of `(inputs, actions, mask)`, as made by "
    "`keras_irl.data.demonstrations()`."
)


class Batch(NamedTuple):
    """One batch, with what the policy generates from by the same names.

    Attributes:
        token_ids: Integer array of shape `(B, T)`, the states; those of the
            decoder stack where there are two.
        padding_mask: Boolean array of shape `(B, T)`.
        actions: Integer array of shape `(B, T)`.
        mask: Float array of shape `(B, T)`, 1 where an action counts.
        continues: Boolean array of shape `(B, T)`, true where a text goes on,
            also in the state in which it was cut.
        segment_ids: Integer array of shape `(B, T)`, which text of the row a
            state belongs to.
        prompt_ids: Integer array of shape `(B, S)`, what an encoder reads, or
            `None`.
        prompt_mask: Boolean array of shape `(B, S)`, or `None`.
        inputs: Dictionary of arrays, all that the policy is given, or `None`.
    """

    token_ids: np.ndarray
    padding_mask: np.ndarray
    actions: np.ndarray
    mask: np.ndarray
    continues: np.ndarray
    segment_ids: np.ndarray | None
    prompt_ids: np.ndarray | None = None
    prompt_mask: np.ndarray | None = None
    inputs: dict[str, np.ndarray] | None = None


def read_batches(policy: Policy, dataset: Any, num_batches: int) -> list[Batch]:
    """Reads the first batches of a data set.

    Args:
        policy: The language model that they are made for.
        dataset: Anything that iterates over batches `(inputs, actions, mask)`,
            a `keras.utils.PyDataset`, or one such batch.
        num_batches: The number of batches to read at most.

    Returns:
        A list of `Batch`.

    Raises:
        ValueError: If there are no batches, or they are empty or something
            else.
    """
    if isinstance(dataset, Demonstrations):
        dataset = dataset.whole
    if isinstance(dataset, tuple) and dataset and isinstance(dataset[0], dict):
        dataset = [dataset]
    if isinstance(dataset, keras.utils.PyDataset):
        dataset = map(dataset.__getitem__, range(len(dataset)))
    try:
        elements = list(itertools.islice(dataset, num_batches))
    except TypeError as error:
        raise ValueError(
            f"The data set can't be iterated over. {_FIX} Received: dataset of "
            f"type {type(dataset).__name__}"
        ) from error
    if not elements:
        raise ValueError(
            "The data set has no batches, so there is nothing to look at. "
            f"{_FIX} Received: {shortened(dataset, 80)}"
        )
    layout = layout_of(policy)
    return [
        _read(element, number, layout)
        for number, element in enumerate(elements)
    ]


def without_filling(batch: Batch, is_made_here: bool) -> Batch:
    """Leaves out the copies that fill up the last batch of demonstrations.

    Args:
        batch: A `Batch`.
        is_made_here: Whether it is known to be one of demonstrations, in which
            all that is not trained is filling. Else only what is a copy of the
            first row is, apart from its mask.

    Returns:
        A `Batch` of the other rows.
    """
    is_text: Any = (batch.mask > 0).any(axis=1)
    if not is_made_here:
        columns = (batch.token_ids, batch.actions, batch.prompt_ids)
        is_copy = is_text[0] & np.all(
            [(c == c[:1]).all(axis=1) for c in columns if c is not None], axis=0
        )
        is_text |= ~is_copy
    arrays = batch._asdict()
    inputs = arrays.pop("inputs")
    if inputs is not None:
        inputs = {name: array[is_text] for name, array in inputs.items()}
    kept: dict[str, Any] = {
        name: None if array is None else array[is_text]
        for name, array in arrays.items()
    }
    return Batch(**kept, inputs=inputs)


def _as_texts(element, number, layout):
    """The parts of a batch by their names, if it is one of this policy."""
    is_batch = isinstance(element, tuple | list) and len(element) == 3
    if not is_batch or not isinstance(element[0], dict):
        parts = element if isinstance(element, tuple | list) else [element]
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise ValueError(
            f"Batch {number} is something else than three parts of which the "
            f"first is a dict. {_FIX} Received: ({kinds})"
        )
    texts = KerasBatch(*element)
    names = [layout.token_ids, layout.padding_mask, *layout.prompt_inputs]
    missing = [name for name in names if name not in texts.inputs]
    if missing:
        raise ValueError(
            f"The inputs of batch {number} lack {', '.join(missing)}, which "
            f"this policy reads. {_FIX} "
            f"Received: inputs of {list(texts.inputs)}"
        )
    return texts


def _read(element, number, layout):
    texts = _as_texts(element, number, layout)
    inputs = {name: np.asarray(x) for name, x in texts.inputs.items()}
    weights = np.asarray(texts.mask, "float32")
    batch = Batch(
        token_ids=inputs[layout.token_ids],
        padding_mask=inputs[layout.padding_mask].astype("bool"),
        actions=np.asarray(texts.actions),
        mask=weights,
        continues=weights > 0,
        segment_ids=texts.inputs.get("segment_ids"),
        inputs=inputs,
    )
    _check_shapes(number, batch)
    texts = texts._replace(mask=weights).as_texts()
    batch = batch._replace(mask=texts.mask, continues=texts.continues)
    if batch.segment_ids is None:
        segments = np.zeros(batch.actions.shape, "int32")
    else:
        segments = inputs["segment_ids"]
    batch = batch._replace(segment_ids=segments)
    if layout.has_encoder:
        mask = inputs[layout.prompt_padding_mask].astype("bool")
        prompt_ids = inputs[layout.prompt_token_ids]
        batch = batch._replace(prompt_ids=prompt_ids, prompt_mask=mask)
    return batch


def _check_shapes(number, batch):
    names = ("token_ids", "padding_mask", "actions", "mask")
    arrays = batch._asdict()
    shapes = [arrays[name].shape for name in names]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2:
        received = ", ".join(
            f"{name} {shape}" for name, shape in zip(names, shapes, strict=True)
        )
        raise ValueError(
            f"Shapes disagree in batch {number}: all must be (B, T). {_FIX} "
            f"Received: {received}"
        )
    if not all(shapes[0]):
        raise ValueError(
            f"Batch {number} is empty: a batch has rows, and rows have tokens. "
            f"{_FIX} Received: actions of shape {shapes[0]}"
        )


class Counts(NamedTuple):
    """Counts of the texts and tokens in some batches.

    Attributes:
        num_batches: Batches that were read.
        num_texts: Texts; several of a row are told apart by `segment_ids`.
        num_untrained: Texts without a trained token.
        num_tokens: Actions, trained or not.
        num_trained: Actions that are trained.
        num_ended: Texts with an end token that is trained.
        num_end_tokens: End tokens that are trained.
        num_cut: Texts that are marked as cut.
        num_without_prompt: Texts whose very first action is trained.
        empty_batches: The indices of batches without a trained token.
        end_ids: Set of the ids that end a text, as far as they are known.
        last_ids: Set of the ids that stand where an end is missing: the last
            trained action of each text that is not marked as cut.
    """

    num_batches: int
    num_texts: int
    num_untrained: int
    num_tokens: int
    num_trained: int
    num_ended: int
    num_end_tokens: int
    num_cut: int
    num_without_prompt: int
    empty_batches: list
    end_ids: set
    last_ids: set

    @property
    def trained_share(self) -> float:
        """The share of the tokens that is trained."""
        return self.num_trained / max(1, self.num_tokens)


def count(batches: Sequence[Batch], end_ids: set[int]) -> Counts:
    """Counts the texts and tokens in batches.

    Args:
        batches: A list of `Batch`.
        end_ids: Set of the ids that end a text.

    Returns:
        A `Counts`.
    """
    texts = [text for batch in batches for text in _texts(batch, end_ids)]
    last_ids = {
        text.last_action
        for text in texts
        if text.num_trained and not (text.num_ends or text.is_cut)
    }
    padding = [batch.padding_mask for batch in batches]
    masks = [batch.mask > 0 for batch in batches]
    return Counts(
        num_batches=len(batches),
        num_texts=len(texts),
        num_untrained=sum(not text.num_trained for text in texts),
        num_tokens=sum(int(real.sum()) for real in padding),
        num_trained=sum(text.num_trained for text in texts),
        num_ended=sum(text.num_ends > 0 for text in texts),
        num_end_tokens=sum(text.num_ends for text in texts),
        num_cut=sum(text.is_cut for text in texts),
        num_without_prompt=sum(text.is_without_prompt for text in texts),
        empty_batches=[i for i, mask in enumerate(masks) if not mask.any()],
        end_ids=end_ids,
        last_ids=last_ids,
    )


def known_ends(
    policy: Policy, demonstrations: Demonstrations | None
) -> set[int]:
    """Lists the ids of the tokens that end a text.

    Args:
        policy: The language model that reads it.
        demonstrations: A `Demonstrations`, which may know of another end, or
            `None`.

    Returns:
        A set of ids, empty where they are not known.
    """
    ids = end_token_ids(policy)
    if demonstrations is not None and demonstrations.end_token_id is not None:
        ids.add(demonstrations.end_token_id)
    return ids


class _Text(NamedTuple):
    """Counts of a text."""

    num_trained: int
    num_ends: int
    is_cut: bool
    is_without_prompt: bool
    last_action: int


def _texts(batch, ids):
    """Yields the counts of each text of a batch."""
    is_trained = batch.mask > 0
    is_end = is_trained & np.isin(batch.actions, list(ids))
    is_cut = batch.continues & ~is_trained
    for row, segments in enumerate(batch.segment_ids):
        real = batch.padding_mask[row] | is_trained[row]
        for segment in np.unique(segments[real]) if real.any() else (0,):
            here = real & (segments == segment)
            first = int(np.argmax(here))
            actions = batch.actions[row, here & is_trained[row]]
            yield _Text(
                int(is_trained[row, here].sum()),
                int(is_end[row, here].sum()),
                bool(is_cut[row, here].any()),
                bool(is_trained[row, first]),
                int(actions[-1]) if len(actions) else -1,
            )
