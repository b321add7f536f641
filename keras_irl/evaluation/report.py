"""What a comparison found, as files."""

import json
import numbers

from keras_irl.evaluation.decodings import name_of
from keras_irl.evaluation.findings import findings
from keras_irl.evaluation.pictures import draw_learning_curves
from keras_irl.evaluation.pictures import draw_quality_vs_diversity
from keras_irl.evaluation.results import check_results
from keras_irl.evaluation.results import finite
from keras_irl.evaluation.results import without_texts
from keras_irl.evaluation.shown_text import in_markdown
from keras_irl.evaluation.shown_text import readable
from keras_irl.evaluation.shown_text import visible
from keras_irl.evaluation.tables import format_table
from keras_irl.evaluation.web_page import web_page
from keras_irl.evaluation.whole_files import write_whole

# The files of a report, the one of its numbers left out.
REPORT_FILES = (
    *("report.html", "report.md", "samples.txt"),
    *("quality_vs_diversity.png", "learning_curves.png"),
)

_CAPTIONS = {
    "quality_vs_diversity.png": "Quality against diversity",
    "learning_curves.png": "Test loss over steps",
}


def write_report(results, folder):
    """Writes what a comparison found.

    | file                       | content                                    |
    |----------------------------|--------------------------------------------|
    | `report.html`              | all of it, as a page that needs no other   |
    | `metrics.json`             | `results` without their texts              |
    | `report.md`                | the tables of `format_table`               |
    | `quality_vs_diversity.png` | the metric against Self-BLEU, if measured  |
    | `learning_curves.png`      | test loss over steps, if there are any     |
    | `samples.txt`              | responses side by side, if there are any   |

    Everything is made before anything is written, and every file appears
    whole, in the place of what an earlier report left. JSON knows neither NaN
    nor infinity: such numbers become `null`, and `not_finite` lists them,
    there and in `report.md`. Names and texts are shown and not interpreted,
    whatever stands in them.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        folder: Where to write; made if it does not exist.

    Returns:
        The paths of the files, a list.

    Raises:
        ValueError: If results, an objective or a run are incomplete, or the
            folder is a file.

    Example:
    ```python
    keras_irl.evaluation.write_report(results, "runs/e2e")
    ```
    """
    return write_whole(report_files(results), folder, REPORT_FILES)


def report_files(results, json_name="metrics.json"):
    """Makes what `write_report` writes, and describes.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        json_name: Name of the file of numbers. Defaults to `"metrics.json"`.

    Returns:
        Dictionary from the names of files to strings or bytes.

    Raises:
        ValueError: If results, an objective or a run are incomplete.
    """
    check_results(results)
    results = _with_decoders(results)
    plain, not_finite = finite(without_texts(results))
    pictures = {
        "quality_vs_diversity.png": draw_quality_vs_diversity(results),
        "learning_curves.png": draw_learning_curves(results),
    }
    pictures = {name: data for name, data in pictures.items() if data}
    facts = {
        name.replace("_", " "): str(value)
        for name, value in results.items()
        if isinstance(value, str | numbers.Real)
    }
    summary = findings(results)
    if not_finite:
        summary.append(f"Some numbers are not finite: {'; '.join(not_finite)}.")
    captioned = {_CAPTIONS[name]: data for name, data in pictures.items()}
    files = {
        **pictures,
        "samples.txt": _samples(results),
        "report.md": _report(results, facts, not_finite, pictures),
        "report.html": web_page(results, facts, summary, captioned),
        json_name: _json(plain, not_finite),
    }
    return {name: data for name, data in files.items() if data}


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


def _json(plain, not_finite):
    if not_finite:
        plain = plain | {"not_finite": not_finite}
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)


def _report(results, facts, not_finite, pictures):
    title = f"{', '.join(results['objectives'])} on {results['task']}"
    lines = (
        f"- {in_markdown(name)}: {in_markdown(text, 1000)}"
        for name, text in facts.items()
    )
    parts = [
        f"# {in_markdown(title, 1000)}",
        "\n".join(lines),
        format_table(results),
        *(f"![{_CAPTIONS[name]}]({name})" for name in sorted(pictures)),
    ]
    if not_finite:
        lines = [f"- `{visible(x).replace('`', chr(39))}`" for x in not_finite]
        parts.insert(
            2, "\n".join(["**Some numbers are not finite:**\n", *lines])
        )
    return "\n\n".join(parts) + "\n"


def _samples(results):
    """Prompts with the references and every objective's responses to them."""
    sections = {}
    for objective, (run, *_) in results["objectives"].items():
        for sample in run["samples"]:
            header = [f"prompt     {readable(sample['prompt'])}"]
            header += [
                f"reference  {readable(text)}" for text in sample["references"]
            ]
            lines = sections.setdefault("\n".join(header), [])
            lines += [
                f"{visible(objective)}, {visible(responses['decoder'])}: "
                f"{readable(text)}"
                for responses in sample["responses"]
                for text in responses["texts"]
            ]
    return "\n".join(
        f"{header}\n\n" + "\n".join(lines) + f"\n\n{'-' * 72}\n"
        for header, lines in sections.items()
    )
