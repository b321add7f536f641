"""The report of a comparison as one self-contained web page."""

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

from keras_irl.evaluation.results import title_of
from keras_irl.reporting.escaping import render
from keras_irl.reporting.tables import result_tables


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes:
        name: Name of its file.
        caption: What it is, in a few words.
        alt: What is seen in it, with the numbers.
        png: The bytes of the file.
    """

    name: str
    caption: str
    alt: str
    png: bytes

    @property
    def base64(self) -> Any:
        """The bytes, as a page holds them."""
        return base64.b64encode(self.png).decode("ascii")


@dataclasses.dataclass(frozen=True)
class Sample:
    """The responses of all policies to one prompt.

    Attributes:
        prompt: String.
        references: List of strings.
        responses: Dictionary from policies to dictionaries from decoding
            strategies to lists of strings.
    """

    prompt: str
    references: list
    responses: dict

    @property
    def strategies(self) -> Any:
        """The decoding strategies of all policies, each once."""
        return dict.fromkeys(
            strategy for texts in self.responses.values() for strategy in texts
        )


def comparison_page(
    results: Any, said: Any, summary: Sequence[Any], pictures: Sequence[Any]
) -> str:
    """Makes the web page of a comparison.

    It holds no script and loads nothing; whatever stands in a text or a name
    is shown and not interpreted.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        said: `Remarks`.
        summary: List of sentences, what came out.
        pictures: List of `Picture`.

    Returns:
        String.
    """
    notes = [
        f"{name}: {sentence}"
        for name, sentences in said.notes.items()
        for sentence in sentences
    ]
    return render(
        "comparison.html",
        title=title_of(results),
        conclusion=said.conclusion,
        summary=[*notes, *summary],
        pictures=pictures,
        tables=result_tables(results),
        settings=said.settings,
        samples=_samples(results),
    )


def _samples(results):
    """The samples of the first run of each objective."""
    columns = {
        name: runs[0]["samples"]
        for name, runs in results["objectives"].items()
        if runs[0].get("samples")
    }
    first = next(iter(columns.values()), ())
    return [
        Sample(
            sample["prompt"],
            sample["references"],
            {
                name: _texts_by_strategy(samples, row)
                for name, samples in columns.items()
            },
        )
        for row, sample in enumerate(first)
    ]


def _texts_by_strategy(samples, row):
    if row >= len(samples):
        return {}
    return {
        responses["decoder"]: responses["texts"]
        for responses in samples[row]["responses"]
    }
