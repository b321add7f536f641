"""The report of a comparison as one self-contained web page."""

import base64
import dataclasses

from keras_irl.evaluation.results import title_of
from keras_irl.reporting.escaping import in_html
from keras_irl.reporting.escaping import passage_in_html
from keras_irl.reporting.tables import result_tables

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --soft: #666;
  --line: #ddd; --box: #f5f5f5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e4;
  --paper: #16181b; --soft: #a2a2a2; --line: #3c3f44; --box: #202327; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; padding: 0 1em;
  max-width: 75em; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5em; overflow-wrap: anywhere; }
h1, th, td, li { unicode-bidi: isolate; }
h2 { font-size: 1.2em; margin-top: 2em; }
.wide { overflow: auto; max-height: 85vh; margin-top: 1em; }
.hint { display: none; margin: 1em 0 -.8em; }
table { border-collapse: separate; border-spacing: 0;
  font-variant-numeric: tabular-nums; }
.wide th, .wide td:first-child { position: sticky; top: 0; z-index: 1;
  background: var(--paper); }
.wide td:first-child { top: auto; }
.wide th:first-child, .wide td:first-child { left: 0; }
.wide th:first-child { z-index: 2; }
th, td { border-bottom: 1px solid var(--line); padding: 3px 10px;
  text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th, .note { color: var(--soft); font-weight: normal; }
.conclusion { font-size: 1.1em; unicode-bidi: isolate; }
.settings th, .settings td { text-align: left; vertical-align: top;
  white-space: normal; overflow-wrap: anywhere; }
img { max-width: 100%; background: #fff; border-radius: 4px; }
@media (max-width: 600px) { .hint { display: block; }
  .wide img { max-width: none; width: 640px; }
  .wide td:first-child { white-space: normal; min-width: 7em; } }
section { border-top: 1px solid var(--line); margin-top: 1.5em; }
.texts { width: 100%; table-layout: fixed; }
.texts th, .texts td { text-align: left; vertical-align: top;
  white-space: normal; overflow-wrap: anywhere; }
.texts th:first-child { width: 7em; }
.text { white-space: pre-wrap; overflow-wrap: anywhere;
  unicode-bidi: isolate; background: var(--box); border-radius: 4px;
  margin: 3px 0; padding: 2px 8px; max-height: 20em; overflow-y: auto; }
"""


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


def comparison_page(results, said, summary, pictures):
    """Makes a web page of results.

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
    title = title_of(results)
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src '
            "'none'; style-src 'unsafe-inline'; img-src data:\">",
            '<meta name="viewport" content="width=device-width">',
            f"<title>{in_html(title)}</title><style>{_STYLE}</style></head>",
            f"<body><h1>{in_html(title)}</h1>",
            "<h2>Summary</h2>",
            _conclusion(said.conclusion),
            _list([*_notes(said.notes), *summary]),
            *map(_picture, pictures),
            "<h2>Numbers</h2>",
            *map(_table, result_tables(results)),
            "<h2>Settings</h2>",
            _settings(said.settings),
            _samples(results),
            "</body></html>\n",
        ]
    )


def _list(sentences):
    items = "".join(f"<li>{in_html(text)}</li>" for text in sentences)
    return f"<ul>{items}</ul>"


def _conclusion(sentence):
    return f'<p class="conclusion">{in_html(sentence)}</p>' if sentence else ""


def _notes(notes):
    return [
        f"{name}: {sentence}"
        for name, sentences in notes.items()
        for sentence in sentences
    ]


def _settings(settings):
    lines = "".join(
        f'<tr><th scope="row">{in_html(name)}</th><td>{in_html(text)}</td></tr>'
        for name, text in settings.items()
    )
    return f'<table class="settings"><tbody>{lines}</tbody></table>'


def _picture(picture):
    data = base64.b64encode(picture.png).decode("ascii")
    image = (
        f'<img alt="{in_html(picture.alt)}" src="data:image/png;base64,{data}">'
    )
    name = in_html(picture.caption)
    return f"<h2>{name}</h2>{_scrolled(image, picture.caption)}"


def _scrolled(content, name):
    """A box that scrolls by finger and by keyboard, and says so if narrow."""
    return (
        '<p class="hint note">← Scroll sideways to see all. →</p>'
        f'<div class="wide" role="region" tabindex="0" '
        f'aria-label="{in_html(name)}">{content}</div>'
    )


def _table(table):
    head = "".join(
        f'<th scope="col">{in_html(cell)}</th>' for cell in table.header
    )
    lines = "".join(
        f"<tr>{''.join(f'<td>{in_html(cell)}</td>' for cell in line)}</tr>"
        for line in table.lines
    )
    note = f'<p class="note">{in_html(table.note)}</p>' if table.note else ""
    content = (
        f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
    )
    name = f"{', '.join(table.header[:4])} and more"
    return f"{_scrolled(content, name)}{note}"


def _samples(results):
    """The texts of the first run of each objective, side by side."""
    columns = {
        name: runs[0]["samples"]
        for name, runs in results["objectives"].items()
        if runs[0].get("samples")
    }
    if not columns:
        return ""
    first, *_ = columns.values()
    sections = [
        _section(
            sample,
            {
                name: _texts_by_strategy(samples, row)
                for name, samples in columns.items()
            },
        )
        for row, sample in enumerate(first)
    ]
    return "\n".join(["<h2>Samples</h2>", *sections])


def _texts_by_strategy(samples, row):
    if row >= len(samples):
        return {}
    return {
        responses["decoder"]: responses["texts"]
        for responses in samples[row]["responses"]
    }


def _section(sample, columns):
    references = "".join(map(_text, sample["references"]))
    strategies = dict.fromkeys(strategy for texts in columns.values() for strategy in texts)
    head = "".join(f"<th>{in_html(name)}</th>" for name in columns)
    lines = "".join(
        f"<tr><th>{in_html(strategy)}</th>"
        + "".join(
            f"<td>{''.join(map(_text, texts.get(strategy, ())))}</td>"
            for texts in columns.values()
        )
        + "</tr>"
        for strategy in strategies
    )
    return (
        f'<section><p class="note">Prompt</p>{_text(sample["prompt"])}'
        f'<p class="note">References</p>{references}'
        f'<table class="texts"><tr><th></th>{head}</tr>{lines}</table>'
        "</section>"
    )


def _text(text):
    # Each text finds its own direction, and leaves that of others alone.
    return f'<div class="text" dir="auto">{passage_in_html(text)}</div>'
