"""What a comparison found, as files."""

import json
import numbers

from keras_irl.evaluation.pictures import draw_learning_curves
from keras_irl.evaluation.pictures import draw_quality_vs_diversity
from keras_irl.evaluation.results import check_results
from keras_irl.evaluation.results import finite
from keras_irl.evaluation.results import without_texts
from keras_irl.evaluation.tables import format_table
from keras_irl.evaluation.whole_files import write_whole

_CAPTIONS = {
    "quality_vs_diversity.png": "Quality against diversity",
    "learning_curves.png": "Test loss over steps",
}


def write_report(results, folder):
    """Writes what a comparison found.

    | file                       | content                                    |
    |----------------------------|--------------------------------------------|
    | `metrics.json`             | `results` without their texts              |
    | `report.md`                | the tables of `format_table`               |
    | `quality_vs_diversity.png` | the metric against Self-BLEU, if measured  |
    | `learning_curves.png`      | test loss over steps, if there are any     |
    | `samples.txt`              | responses side by side, if there are any   |

    Everything is made before anything is written, and every file appears
    whole. JSON knows neither NaN nor infinity: such numbers become `null`, and
    `not_finite` lists them, there and in `report.md`.

    Args:
        results: See `keras_irl/evaluation/results.py`.
        folder: Where to write; made if it does not exist.

    Returns:
        The paths of the files, a list.

    Raises:
        ValueError: If results, an objective or a run are incomplete.

    Example:
    ```python
    keras_irl.evaluation.write_report(results, "runs/e2e")
    ```
    """
    check_results(results)
    plain, not_finite = finite(without_texts(results))
    files = {
        "quality_vs_diversity.png": draw_quality_vs_diversity(results),
        "learning_curves.png": draw_learning_curves(results),
        "samples.txt": _samples(results),
    }
    files = {name: data for name, data in files.items() if data}
    files["report.md"] = _report(results, not_finite, _CAPTIONS.keys() & files)
    files["metrics.json"] = _json(plain, not_finite)
    return write_whole(files, folder)


def _json(plain, not_finite):
    if not_finite:
        plain = plain | {"not_finite": not_finite}
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False)


def _report(results, not_finite, pictures):
    facts = "\n".join(
        f"- {name.replace('_', ' ')}: {value}"
        for name, value in results.items()
        if isinstance(value, str | numbers.Real)
    )
    parts = [
        f"# {', '.join(results['objectives'])} on {results['task']}",
        facts,
        format_table(results),
        *(f"![{_CAPTIONS[name]}]({name})" for name in sorted(pictures)),
    ]
    if not_finite:
        lines = "\n".join(f"- `{line}`" for line in not_finite)
        parts.insert(2, f"**Some numbers are not finite:**\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def _samples(results):
    """Prompts with the references and every objective's responses to them."""
    sections = {}
    for objective, (run, *_) in results["objectives"].items():
        for sample in run.get("samples", ()):
            header = [f"prompt     {sample['prompt']}"]
            header += [f"reference  {text}" for text in sample["references"]]
            lines = sections.setdefault("\n".join(header), [])
            lines += [
                f"{objective}, temperature {responses['temperature']:g}: {text}"
                for responses in sample["responses"]
                for text in responses["texts"]
            ]
    return "\n".join(
        f"{header}\n\n" + "\n".join(lines) + f"\n\n{'-' * 72}\n"
        for header, lines in sections.items()
    )
