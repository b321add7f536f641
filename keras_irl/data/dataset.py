"""The data set of demonstrations, which `fit` takes as it is."""

import sys
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import grain

from keras_irl.arguments import LARGEST_COUNT
from keras_irl.arguments import check_integer
from keras_irl.arguments import check_kind
from keras_irl.expected_warnings import HiddenWarnings
from keras_irl.keras_seams import is_preprocessing
from keras_irl.runtime.devices import check_divisible
from keras_irl.runtime.devices import num_row_parts
from keras_irl.runtime.processes import num_processes
from keras_irl.runtime.row_shares import WHOLE
from keras_irl.runtime.row_shares import Share
from keras_irl.runtime.row_shares import current_share

# Tokenizers are fast and hold the interpreter's lock: more threads than these
# take time from the training, and a longer buffer only takes memory.
READ_OPTIONS = grain.ReadOptions(num_threads=2, prefetch_buffer_size=8)


class Demonstrations(grain.MapDataset):
    """Batches of demonstrations, as made by `demonstrations`.

    `policy.fit` and `policy.evaluate` of keras-hub, and `fit` of every
    `keras.Model`, take it as it is. It stays a `Demonstrations` when it is
    sliced, repeated or mapped. Batches are made when they are asked for, so
    `dataset[i]` costs one batch wherever it stands.

    Only a run over several epochs is shuffled anew in each: `dataset.epochs`,
    `dataset.repeat`, and the `fit` of keras-hub. Each `iter(dataset)` begins
    with the order of the first.

    Once there is one of these, `fit` of keras-hub says no more that it can't
    shuffle it, nor how far it reads ahead, nor that T5 drops a mask.

    On several processes, `dataset[i]` holds the rows of a batch that this
    process feeds, as the distribution that was set when the data set was made
    divides them; `dataset.whole[i]` holds all of them.

    `train_on_batch` of keras-hub preprocesses whatever it is given, these
    batches too: set `policy.preprocessor = None` before calling it.

    Args:
        batches: A `grain.MapDataset` of the batches.
        num_rows: The number of texts.
        num_truncated: The number of texts that are cut by `max_length`.
        dropped: Dict from reasons to the numbers of rows left out for them.
        end_token_id: The token that ends a text, if it is another than that
            of the policy's tokenizer. Defaults to `None`.
        is_packed: Whether rows hold several texts, which only the trainers of
            `keras_irl` keep apart. Defaults to `False`.
        texts: A function from a number to the tuple of as many prompts and of
            their responses at most, from all over the data. Defaults to
            `None`, where only ids are known.
        whole: A `grain.MapDataset` of the batches of all processes together.
            Defaults to `None`, for `batches`.
        share: The `keras_irl.runtime.row_shares.Share` of the rows of each
            batch that are in `batches`. Defaults to all of them.

    Raises:
        ValueError: If an argument is of another kind.
    """

    def __init__(
        self,
        batches: grain.MapDataset,
        num_rows: int,
        num_truncated: int,
        dropped: Mapping[str, int],
        *,
        end_token_id: int | None = None,
        is_packed: bool = False,
        texts: Callable[..., tuple[list[str], list[str]]] | None = None,
        whole: grain.MapDataset | None = None,
        share: Share = WHOLE,
    ) -> None:
        check_kind("batches", batches, grain.MapDataset)
        check_kind("share", share, Share)
        if whole is not None:
            check_kind("whole", whole, grain.MapDataset)
        super().__init__(batches)
        self.num_rows = num_rows
        self.num_truncated = num_truncated
        self.dropped = dropped
        self.end_token_id = end_token_id
        self.is_packed = is_packed
        self.texts = texts
        self.share = share
        self._whole = batches if whole is None else whole
        self._hidden: HiddenWarnings | None = None

    def __len__(self):
        return len(self.parents[0])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self.slice(index)
        return self.parents[0][index]

    def __repr__(self):
        counts = [f"{self.num_truncated} cut"] if self.num_truncated else []
        counts += [
            f"{number} left out ({reason})"
            for reason, number in self.dropped.items()
        ]
        counts += ["several in a row"] * self.is_packed
        told = "".join(f", {text}" for text in counts)
        return (
            f"<Demonstrations: {len(self)} batches of {self.num_rows} texts"
            f"{told}>"
        )

    @property
    def whole(self) -> "Demonstrations":
        """The batches of all processes together, a `Demonstrations`."""
        if self.share == WHOLE:
            return self
        return self._with(self._whole, self._whole, WHOLE)

    def check_share(self) -> None:
        """Checks that this process reads the rows that its devices compute.

        Raises:
            ValueError: If the distribution was set later, or is another.
        """
        if num_processes() == 1:
            return
        expected = current_share()
        if self.share != expected:
            raise ValueError(
                "These demonstrations were divided among processes by another "
                "distribution than the one that is set now. Call "
                "`keras.distribution.set_distribution` first, and make them "
                "after that. Received: demonstrations with the rows of "
                f"{self.share}, of which this process feeds {expected}"
            )

    @property
    def is_infinite(self) -> bool:
        """Whether it was repeated without end."""
        # Grain's way to say so, less what was cut off.
        return len(self) > sys.maxsize // 2

    @property
    def batch_size(self) -> int:
        """The rows of every batch; the last one is filled up to as many."""
        return len(self.whole[0][-1])

    def batches(
        self, start: int = 0, stop: int | None = None
    ) -> grain.IterDataset:
        """Streams the batches of the training steps from `start` to `stop`.

        The batch of a step is a function of the seed and of the step alone.
        So a run that stopped after n steps continues with `batches(n)`, in
        the middle of any epoch, and reads no batch that it skips.

        Args:
            start: The first step, counted over all epochs from 0.
            stop: The step to stop before. Defaults to None, never.

        Returns:
            A `grain.IterDataset`.

        Raises:
            ValueError: If there is no such step.
        """
        first = check_integer("start", start, least=-LARGEST_COUNT)
        last = first + 1
        if stop is not None:
            last = check_integer("stop", stop, least=-LARGEST_COUNT)
        if first < 0 or last <= first:
            raise ValueError(
                "`start` counts steps from 0 and must come before `stop`. "
                f"Received: start={start}, stop={stop}"
            )
        stop = None if stop is None else last
        # What was repeated without end can't be, and need not be, again.
        repeated = self if self.is_infinite else self.repeat()
        return repeated[first:stop].to_iter_dataset()

    def epochs(
        self, num_epochs: int | None, initial_epoch: int = 0
    ) -> grain.IterDataset:
        """Streams whole epochs, each in its own order.

        It gives `policy.fit(dataset, epochs=num_epochs)` of keras-hub and
        `fit` of a plain `keras.Model` the same batches:
        `model.fit(dataset.epochs(n), epochs=n, steps_per_epoch=len(dataset))`.

        Args:
            num_epochs: The epoch to stop before, counted from 0.
            initial_epoch: The first epoch. Defaults to 0.

        Returns:
            A `grain.IterDataset` of `len(dataset)` batches an epoch.

        Raises:
            ValueError: If there is no such epoch.
        """
        most = LARGEST_COUNT // len(self)
        first = check_integer("initial_epoch", initial_epoch, -most, most)
        last = check_integer("num_epochs", num_epochs, -most, most)
        if not 0 <= first < last:
            raise ValueError(
                "`initial_epoch` counts epochs from 0 and must come before "
                f"`num_epochs`. Received: num_epochs={num_epochs}, "
                f"initial_epoch={initial_epoch}"
            )
        return self.batches(first * len(self), last * len(self))

    def slice(self, sl: slice) -> "Demonstrations":
        """Slices the batches of an epoch, in every epoch."""
        check_kind("sl", sl, slice)
        return self._with(super().slice(sl), self._whole.slice(sl))

    def repeat(
        self, num_epochs: int | None = None, *, reseed_each_epoch: bool = True
    ) -> "Demonstrations":
        """Joins epochs to one data set, each shuffled in its own way."""
        if num_epochs is not None:
            num_epochs = check_integer("num_epochs", num_epochs, least=1)
        again = {"reseed_each_epoch": reseed_each_epoch}
        return self._with(
            super().repeat(num_epochs, **again),
            self._whole.repeat(num_epochs, **again),
        )

    def map(self, transform: Any) -> Any:
        """Maps the batches, which keras-hub need not preprocess any more."""
        if is_preprocessing(transform):
            _check_is_not_packed(self.is_packed)
            self.check_share()
            _check_rows(self)
            return self.in_a_fit()
        return self._with(super().map(transform), self._whole.map(transform))

    def in_a_fit(self) -> "Demonstrations":
        """The same batches; expected warnings are hidden while they are held.

        The `fit` of keras-hub holds them until it ends, and there is no other
        place from where to see that it does. TensorFlow holds them longer, with
        the graph that has read them.
        """
        fitted = self._with(self.parents[0], self._whole)
        fitted._hidden = HiddenWarnings()
        return fitted

    def to_iter_dataset(
        self, read_options: Any = None, *, allow_nones: bool = False
    ) -> "DemonstrationStream":
        """Streams the batches, read ahead by background threads."""
        return DemonstrationStream(
            super().to_iter_dataset(
                read_options or READ_OPTIONS, allow_nones=allow_nones
            ),
            self,
        )

    def _with(self, batches, whole, share=None):
        made = Demonstrations(
            batches,
            self.num_rows,
            self.num_truncated,
            self.dropped,
            end_token_id=self.end_token_id,
            is_packed=self.is_packed,
            texts=self.texts,
            whole=whole,
            share=self.share if share is None else share,
        )
        made._hidden = self._hidden
        return made


class DemonstrationStream(grain.IterDataset):
    """Batches of demonstrations in a row, as read by a training.

    Args:
        batches: A `grain.IterDataset` of the batches.
        demonstrations: The `Demonstrations` that they are of.
        transforms: Sequence of functions that were mapped over the batches.
    """

    def __init__(
        self,
        batches: grain.IterDataset,
        demonstrations: Demonstrations,
        transforms: Sequence[Callable[..., Any]] = (),
    ) -> None:
        super().__init__(batches)
        self.demonstrations = demonstrations
        self._transforms = tuple(transforms)

    def __iter__(self):
        return iter(self.parents[0])

    def map(self, transform: Any) -> Any:
        """Maps the batches, which keras-hub need not preprocess any more."""
        if is_preprocessing(transform):
            _check_is_not_packed(self.demonstrations.is_packed)
            self.demonstrations.check_share()
            _check_rows(self.demonstrations)
            return DemonstrationStream(
                self.parents[0],
                self.demonstrations.in_a_fit(),
                self._transforms,
            )
        return DemonstrationStream(
            super().map(transform),
            self.demonstrations,
            (*self._transforms, transform),
        )

    def after(
        self, num_batches: int, num_stand_ins: int = 0
    ) -> "DemonstrationStream":
        """Streams what comes after some batches, of which none is read.

        Args:
            num_batches: The number of batches to leave out.
            num_stand_ins: The number of times that the first batch comes
                before itself, for a `fit` that counts batches it does not
                train on. Defaults to 0.

        Raises:
            ValueError: If nothing comes after them.
        """
        if num_batches >= len(self.demonstrations):
            raise ValueError(
                f"All {len(self.demonstrations)} batches of the stream are "
                "trained on. Pass one of more epochs, such as "
                "`dataset.epochs(n)`, or the data itself, as in "
                "`fit(dataset, epochs=n)`. "
                f"Received: a stream that goes on after {num_batches} batches"
            )
        rest = self.demonstrations[num_batches:]
        batches: Any = rest
        if num_stand_ins:
            first = rest[:1].repeat(num_stand_ins, reseed_each_epoch=False)
            batches = grain.MapDataset.concatenate([first, rest])
        stream = DemonstrationStream(
            batches.to_iter_dataset(READ_OPTIONS), rest
        )
        for transform in self._transforms:
            stream = stream.map(transform)
        return stream


def demonstrations_of(dataset: Any) -> Demonstrations | None:
    """Finds what is known of the texts that batches are made of.

    Args:
        dataset: Anything.

    Returns:
        The `Demonstrations` that it is or streams, or `None`.
    """
    if isinstance(dataset, DemonstrationStream):
        return dataset.demonstrations
    return dataset if isinstance(dataset, Demonstrations) else None


def _check_rows(demonstrations):
    """Checks whether devices can divide the rows that keras-hub will train."""
    if num_row_parts() > 1:
        check_divisible(demonstrations.batch_size)


def _check_is_not_packed(is_packed):
    if is_packed:
        raise ValueError(
            "The `fit` of keras-hub would let the texts of a row see each "
            "other. Train packed texts with a trainer, such as "
            "`keras_irl.IQLearn(policy)`, or use `demonstrations()`. "
            "Received: packed demonstrations"
        )
