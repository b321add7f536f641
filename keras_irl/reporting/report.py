"""The report of a comparison, as files."""

import base64
import dataclasses
import hashlib
import importlib.resources
import json
import numbers
import pathlib
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import markupsafe

from keras_irl.error_texts import shortened
from keras_irl.escaping import in_markdown
from keras_irl.escaping import readable
from keras_irl.escaping import render
from keras_irl.escaping import visible
from keras_irl.evaluation.results import check_results
from keras_irl.evaluation.results import curve_of
from keras_irl.evaluation.results import finite
from keras_irl.evaluation.results import title_of
from keras_irl.evaluation.results import without_texts
from keras_irl.files.atomic import atomic_write
from keras_irl.generation.decoders import name_of
from keras_irl.reporting.conclusions import front_conclusion
from keras_irl.reporting.conclusions import headline
from keras_irl.reporting.conclusions import result_sentences
from keras_irl.reporting.pictures import draw_learning_curves
from keras_irl.reporting.pictures import draw_quality_vs_diversity
from keras_irl.reporting.pictures import learning_curves_in_words
from keras_irl.reporting.pictures import quality_vs_diversity_in_words
from keras_irl.reporting.tables import format_table
from keras_irl.reporting.tables import markdown_table
from keras_irl.reporting.tables import result_tables
from keras_irl.reporting.tables import settings_table
from keras_irl.types import Path
from keras_irl.types import Results


@dataclasses.dataclass(frozen=True)
class _Remarks:
    """Settings, notes and conclusion of a report.

    Attributes:
        settings: Dictionary from names to texts, what they were made with.
        notes: Dictionary from the names of policies to lists of sentences.
        conclusion: A sentence on what came out, or `""`.
        headline: The same in short, or `""`.
    """

    settings: dict
    notes: dict
    conclusion: str
    headline: str = ""


def _remarks(
    results: Results,
    settings: Mapping[str, Any] | None = None,
    notes: Mapping[str, Sequence[str]] | None = None,
    conclusion: str | None = None,
) -> _Remarks:
    """Checks and completes the settings, notes and conclusion of a report.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        settings: Dictionary from names to texts or numbers. Defaults to none.
        notes: Dictionary from names to lists of sentences. Defaults to none.
        conclusion: A sentence. Defaults to what the fronts say.

    Returns:
        `_Remarks`.

    Raises:
        ValueError: If one is no such thing.
    """
    settings = {} if settings is None else settings
    notes = {} if notes is None else notes
    shortly = ""
    if conclusion is None:
        conclusion, shortly = front_conclusion(results), headline(results)
    _check(settings, notes, conclusion)
    facts = _facts(results)
    # A setting is told once, where it is told in full.
    told = {name.replace("_", " ") for name in settings}
    facts = {name: facts[name] for name in facts if name not in told}
    settings = {name: str(value) for name, value in settings.items()}
    return _Remarks(facts | settings, dict(notes), conclusion, shortly)


def _facts(results):
    return {
        name.replace("_", " "): str(value)
        for name, value in results.items()
        if isinstance(value, str | numbers.Real) and value != ""
    }


def _check(settings, notes, conclusion):
    is_table = isinstance(settings, dict) and all(
        isinstance(name, str) and isinstance(value, str | numbers.Real)
        for name, value in settings.items()
    )
    if not is_table:
        raise ValueError(
            "`settings` must be a dictionary from names to texts or numbers. "
            f"Received: settings={shortened(settings)}"
        )
    are_notes = isinstance(notes, dict) and all(
        isinstance(name, str) and _are_sentences(sentences)
        for name, sentences in notes.items()
    )
    if not are_notes:
        raise ValueError(
            "`notes` must be a dictionary from the names of policies to lists "
            f"of sentences. Received: notes={shortened(notes)}"
        )
    if not isinstance(conclusion, str):
        raise ValueError(
            "`conclusion` must be a sentence. "
            f"Received: conclusion={shortened(conclusion)}"
        )


def _are_sentences(sentences):
    return isinstance(sentences, list | tuple) and all(
        isinstance(sentence, str) for sentence in sentences
    )


# The files of a report, the one of its numbers left out.
REPORT_FILES = (
    *("report.html", "report.md", "samples.txt"),
    *("quality_vs_diversity.png", "learning_curves.png"),
)

_SURROGATES = re.compile("[\ud800-\udfff]")


def write_report(
    results: Results,
    folder: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    notes: Mapping[str, Sequence[str]] | None = None,
    conclusion: str | None = None,
) -> list[pathlib.Path]:
    """Writes the report of a comparison.

    | file                       | content                                    |
    |----------------------------|--------------------------------------------|
    | `report.html`              | all of it, as a page that needs no other   |
    | `metrics.json`             | `results` without their texts              |
    | `report.md`                | the tables of `format_table`               |
    | `quality_vs_diversity.png` | the metric against Self-BLEU, if measured  |
    | `learning_curves.png`      | loss over steps, if there are any          |
    | `samples.txt`              | responses side by side, if there are any   |

    Everything is made before anything is written, and every file appears
    whole, in the place of what an earlier report left. JSON knows neither NaN
    nor infinity: such numbers become `null`, and `not_finite` lists them,
    there and in `report.md`. Names and texts are shown and not interpreted,
    whatever stands in them.

    Args:
        results: See `keras_irl/evaluation/results.py`. Where it has a text
            `"data"`, titles name that beside the task.
        folder: Where to write; made if it does not exist.
        settings: Dictionary from names to texts or numbers, what the results
            were made with, for whoever makes them again. Defaults to none.
        notes: Dictionary from the names of policies to lists of sentences,
            what to know of each, such as `{"gail": ["Seed 1 diverged at step
            120."]}`. Defaults to none.
        conclusion: A sentence that tells what came out, for the top. Defaults
            to what the fronts say, if there are any.

    Returns:
        The paths of the files, a list.

    Raises:
        ValueError: If results, an objective or a run are incomplete, the
            folder is a file, or settings, notes or the conclusion are no such
            thing.

    Example:
    ```python
    keras_irl.reporting.write_report(results, "runs/e2e")
    ```
    """
    files = report_files(
        results, settings=settings, notes=notes, conclusion=conclusion
    )
    return atomic_write(files, folder, REPORT_FILES)


def report_files(
    results: Results,
    json_name: str = "metrics.json",
    *,
    settings: Mapping[str, Any] | None = None,
    notes: Mapping[str, Sequence[str]] | None = None,
    conclusion: str | None = None,
    pictures: "Sequence[Picture]" = (),
) -> dict[str, str | bytes]:
    """Makes the files of `write_report`.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        json_name: Name of the file of numbers. Defaults to `"metrics.json"`.
        settings: See `write_report`.
        notes: See `write_report`.
        conclusion: See `write_report`.
        pictures: List of `Picture`, shown after the report's own.

    Returns:
        Dictionary from the names of files to strings or bytes.

    Raises:
        ValueError: See `write_report`.
    """
    check_results(results)
    said = _remarks(results, settings, notes, conclusion)
    results = _with_decoders(results)
    plain, not_finite = finite(without_texts(results))
    summary = result_sentences(results)
    if not_finite:
        summary.append(f"Some numbers are not finite: {'; '.join(not_finite)}.")
    shown = [*_own_pictures(results), *pictures]
    files = {
        **{picture.name: picture.png for picture in shown},
        "samples.txt": _samples(results),
        "report.md": _report(results, said, not_finite, shown),
        "report.html": _comparison_page(results, said, summary, shown),
        json_name: _json(plain, said, not_finite),
    }
    return {name: data for name, data in files.items() if data}


def _own_pictures(results):
    """The pictures of every report, where there is something to draw."""
    curve = curve_of(results).capitalize()
    pictures = (
        Picture(
            "quality_vs_diversity.png",
            "Quality against diversity",
            quality_vs_diversity_in_words(results),
            draw_quality_vs_diversity(results),
        ),
        Picture(
            "learning_curves.png",
            f"{curve} loss over steps",
            learning_curves_in_words(results),
            draw_learning_curves(results),
        ),
    )
    return [picture for picture in pictures if picture.png]


def _with_decoders(results):
    """Names the decodings of samples that have a temperature only."""

    def named(sample):
        responses = [
            {**texts, "decoder": name_of(texts)}
            for texts in sample["responses"]
        ]
        return {**sample, "responses": responses}

    objectives = {
        name: [
            {**run, "samples": [named(s) for s in run.get("samples", ())]}
            for run in runs
        ]
        for name, runs in results["objectives"].items()
    }
    return results | {"objectives": objectives}


def _json(plain, said, not_finite):
    added = {
        "settings": said.settings,
        "notes": said.notes,
        "headline": said.headline,
        "conclusion": said.conclusion,
        "not_finite": not_finite,
    }
    plain = plain | {name: value for name, value in added.items() if value}
    text = json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)
    # Names from a terminal may hold bytes that are no UTF-8.
    return _SURROGATES.sub(lambda m: f"\\u{ord(m[0]):04x}", text)


def _report(results, said, not_finite, pictures):
    parts = [f"# {in_markdown(title_of(results), 1000)}"]
    for sentence in (said.headline, said.conclusion):
        if sentence:
            parts.append(f"**{in_markdown(sentence, 9000)}**")
    if said.notes:
        parts.append("\n".join(_notes(said.notes)))
    if not_finite:
        lines = [f"- `{visible(x).replace('`', chr(39))}`" for x in not_finite]
        parts.append("\n".join(["**Some numbers are not finite:**\n", *lines]))
    parts += [
        format_table(results),
        *(f"![{in_markdown(p.alt, 9000)}]({p.name})" for p in pictures),
        "## Settings",
        markdown_table(settings_table(said.settings)),
    ]
    return "\n\n".join(parts) + "\n"


def _notes(notes):
    return [
        f"- {in_markdown(name)}: {in_markdown(sentence, 9000)}"
        for name, sentences in notes.items()
        for sentence in sentences
    ]


def _samples(results):
    """Prompts with the references and every objective's responses to them."""
    sections = {}
    for objective, (run, *_) in results["objectives"].items():
        for sample in run["samples"]:
            header = [f"prompt     {_indented(sample['prompt'])}"]
            header += [
                f"reference  {_indented(text)}" for text in sample["references"]
            ]
            lines = sections.setdefault("\n".join(header), [])
            lines += [
                f"{visible(objective)}, {visible(responses['decoder'])}: "
                f"{_indented(text)}"
                for responses in sample["responses"]
                for text in responses["texts"]
            ]
    return "\n".join(
        f"{header}\n\n" + "\n".join(lines) + f"\n\n{'-' * 72}\n"
        for header, lines in sections.items()
    )


def _indented(text):
    """A text whose further lines can't be taken for those of the report."""
    return readable(text).replace("\n", "\n    ")


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
    def base64(self) -> str:
        """The bytes, as a page holds them."""
        return base64.b64encode(self.png).decode("ascii")


@dataclasses.dataclass(frozen=True)
class _Sample:
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
    def strategies(self) -> dict[str, None]:
        """The decoding strategies of all policies, each once."""
        return dict.fromkeys(
            strategy for texts in self.responses.values() for strategy in texts
        )


def _comparison_page(
    results: Results,
    said: _Remarks,
    summary: Sequence[str],
    pictures: Sequence[Picture],
) -> str:
    """Makes the web page of a comparison.

    It loads nothing, and the one script that it may run sorts its tables;
    whatever stands in a text or a name is shown and not interpreted.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        said: `_Remarks`.
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
        headline=said.headline,
        conclusion=said.conclusion,
        script=sorting_script(),
        summary=[*summary, *notes],
        pictures=pictures,
        tables=result_tables(results),
        settings=said.settings,
        samples=_page_samples(results),
    )


def _page_samples(results):
    """The samples of the first run of each objective."""
    columns = {
        name: runs[0]["samples"]
        for name, runs in results["objectives"].items()
        if runs[0].get("samples")
    }
    first = next(iter(columns.values()), ())
    return [
        _Sample(
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


class Script(NamedTuple):
    """A script, and the digest by which a page allows it.

    Attributes:
        code: Its text, as markup.
        digest: Its source for the `script-src` of a content security policy:
            a browser runs no script with another.
    """

    code: markupsafe.Markup
    digest: str


def sorting_script() -> Script:
    """Reads the script that sorts tables by the column that is pressed.

    Returns:
        A `Script`.

    Example:
    >>> sorting_script().digest[:7]
    'sha256-'
    """
    folder = importlib.resources.files("keras_irl") / "templates"
    code = (folder / "sorting.js").read_text("utf-8").strip()
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return Script(
        markupsafe.Markup(code),
        f"sha256-{base64.b64encode(digest).decode('ascii')}",
    )
