"""Heat maps of token rewards, as a web page and as a picture."""

import numpy as np

from keras_irl.arguments import check_integer
from keras_irl.arguments import shortened
from keras_irl.columns import column
from keras_irl.reporting.atomic_files import atomic_write
from keras_irl.reporting.escaping import in_html
from keras_irl.rewards.heat_map_columns import QUANTITIES
from keras_irl.rewards.heat_map_columns import color
from keras_irl.rewards.heat_map_columns import columns_of
from keras_irl.rewards.heat_map_columns import stops
from keras_irl.rewards.heat_map_columns import verdicts
from keras_irl.rewards.heat_map_picture import draw_heat_map

_STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e4;
  --paper: #16181b; --soft: #a2a2a2; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto 6em;
  padding: 0 1em; max-width: 80em; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.3em; }
h2 { font-size: 1em; margin: 2em 0 0; white-space: pre-wrap;
  unicode-bidi: isolate; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, .verdicts, .next { text-align: left; font-weight: normal;
  color: var(--soft); margin: 0; overflow-wrap: anywhere; }
td { vertical-align: top; padding-right: 2em; }
.tokens { font-family: ui-monospace, monospace; direction: ltr;
  white-space: pre-wrap; line-height: 1.9; overflow-wrap: anywhere; }
.tokens span { unicode-bidi: isolate; padding: 2px 0; cursor: help; }
.tokens span:hover, .tokens span:focus { outline: 2px solid var(--ink); }
.tokens span:hover::after, .tokens span:focus::after {
  content: attr(aria-label); position: fixed; inset: auto 0 0; z-index: 1;
  padding: .6em 1em; font: 15px/1.5 system-ui, sans-serif; direction: ltr;
  color: var(--paper); background: var(--ink); }
.tokens span:hover::after { z-index: 2; }
.next { position: absolute; left: -99em; }
.next:focus { position: static; }
.legend span { display: inline-block; padding: 2px 8px; }
@media (max-width: 600px) { table { display: grid; }
  tbody, tr { display: contents; } td { padding-right: 0; }
  th:nth-child(2), td:nth-child(2) { order: 1; }
  th:nth-child(2) { margin-top: 1em; } }
"""


def heat_map(
    policies,
    folder,
    prompts=None,
    max_texts=50,
    name="heat_map",
    *,
    quantities=None,
    metrics=None,
):
    """Colors tokens by their rewards, as a web page and as a picture.

    White is a reward of 0, blue is above and orange below. Two policies stand
    side by side, with one scale where they show the same quantity. The
    numbers of a token appear when it is pointed at, tapped, or reached with
    the Tab key. The page holds no script and loads nothing; whatever stands
    in a text is shown and not interpreted.

    Args:
        policies: The `TextRewards` of some texts; or a dictionary of one or
            two such lists by the names of the policies, for the same texts.
        folder: Where to write; made if it does not exist.
        prompts: Strings, what the texts answer. Defaults to none.
        max_texts: The page shows so many, the picture the first of them.
            Defaults to 50.
        name: Name of the files without ending. Defaults to `"heat_map"`.
        quantities: Dictionary from names of policies to what their tokens are
            colored by: `"rewards"`, or `"log_probs"`, the log-probabilities,
            as of a control that was trained by likelihood. Defaults to rewards
            for all.
        metrics: Dictionary from names to lists of numbers, one for each text,
            which stand beside it. Where each number is 0 or 1, or 0 or 100,
            they say right or wrong. Defaults to none.

    Returns:
        Paths of the page and of the picture. Both are there, or neither.

    Raises:
        ValueError: If there are no texts or more than two policies, lists
            disagree in length, or a quantity or `max_texts` is out of range.
    """
    files = heat_map_files(
        policies,
        prompts,
        max_texts,
        name,
        quantities=quantities,
        metrics=metrics,
    )
    return atomic_write(files, folder)


def heat_map_files(
    policies,
    prompts=None,
    max_texts=50,
    name="heat_map",
    *,
    quantities=None,
    metrics=None,
):
    """Makes what `heat_map` writes, and describes.

    Args:
        policies: See `heat_map`.
        prompts: See `heat_map`.
        max_texts: See `heat_map`.
        name: See `heat_map`.
        quantities: See `heat_map`.
        metrics: See `heat_map`.

    Returns:
        Dictionary from the names of files to a string and bytes.

    Raises:
        ValueError: See `heat_map`.
    """
    if prompts is not None:
        prompts = list(column("prompts", prompts))
    columns = columns_of(policies, quantities)
    _check_name(name)
    metrics = _checked_metrics({} if metrics is None else metrics)
    _check_sizes(columns, prompts, metrics)
    num_texts = len(columns[0].texts)
    num_shown = min(check_integer("max_texts", max_texts, least=1), num_texts)
    prompts = [None] * num_texts if prompts is None else list(prompts)
    titles = [
        f"Text {row}" if prompt is None else str(prompt)
        for row, prompt in enumerate(prompts[:num_shown])
    ]
    judged = [verdicts(metrics, row) for row in range(num_shown)]
    return {
        f"{name}.html": _page(columns, titles, judged, num_texts),
        f"{name}.png": draw_heat_map(columns, titles, judged, num_texts),
    }


def _page(columns, titles, judged, num_texts):
    count = f"{len(titles)} of {num_texts} texts"
    scales = {column.quantity: column.limit for column in columns}
    names = " and ".join(QUANTITIES[quantity] for quantity in scales)
    heading = f"Tokens by {names}, {count}"
    sections = [
        _section(row, title, said, columns)
        for row, (title, said) in enumerate(zip(titles, judged, strict=True))
    ]
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width">',
            f"<title>{heading}</title><style>{_STYLE}</style></head>",
            f"<body><h1>{heading}</h1>",
            *(_legend(*scale) for scale in scales.items()),
            "<p>Beyond the ends of a scale, the color stays. Point at a token, "
            "tap it or go to it with Tab: its numbers appear at the foot of "
            "the window.</p>",
            *sections,
            f'<p id="text-{len(titles)}">{count}.</p>',
            "</body></html>\n",
        ]
    )


def _legend(quantity, limit):
    spans = []
    for number in stops(quantity, limit, 9):
        background, ink = color(number, limit)
        style = f"background:{background};color:{ink}"
        spans.append(f'<span style="{style}">{number:+.2f}</span>')
    return (
        f'<p class="legend">{"".join(spans)} {QUANTITIES[quantity]} of a '
        f"token, nats</p>"
    )


def _section(row, title, said, columns):
    heads = "".join(
        f"<th><bdi>{in_html(column.name)}</bdi>: {_summary(column, row)}</th>"
        for column in columns
    )
    cells = "".join(
        f'<td class="tokens">{_tokens(column, row)}</td>' for column in columns
    )
    judged = in_html(", ".join(said)) if said else ""
    return (
        f'<h2 id="text-{row}">{in_html(title)}</h2>'
        f'<p class="verdicts">{judged}</p>'
        f'<a class="next" href="#text-{row + 1}">To the next text</a>'
        f"<table><tr>{heads}</tr><tr>{cells}</tr></table>"
    )


def _summary(column, row):
    text = column.texts[row]
    cut = "" if text.finished else ", cut"
    if column.quantity == "log_probs":
        return f"{column.summary(row)}{cut}"
    likelihood = f"log-likelihood {text.log_likelihood:+.2f}"
    return f"{column.summary(row)}, {likelihood}{cut}"


def _tokens(column, row):
    text = column.texts[row]
    entries = (
        text.tokens,
        column.numbers(row),
        text.rewards,
        text.action_values,
        text.values,
        text.log_probs,
    )
    spans = []
    for token, number, reward, q, v, log_prob in zip(*entries, strict=True):
        background, ink = color(number, column.limit)
        numbers = (
            f"reward {reward:+.3f}, Q {q:+.3f}, V {v:+.3f}, "
            f"log-probability {log_prob:+.3f}"
        )
        spans.append(
            f'<span tabindex="0" role="img" '
            f'style="background:{background};color:{ink}" '
            f'aria-label="{numbers}, token {in_html(token)}">'
            f"{in_html(token)}</span>"
        )
        if "\n" in token:
            spans.append("<br>")
    return "".join(spans)


def _check_name(name):
    is_name = isinstance(name, str) and name and not set(name) & set("/\\\0")
    if not is_name:
        raise ValueError(
            "`name` must be the name of a file without its ending, and no "
            f"path. Received: name={shortened(name)}"
        )


def _check_sizes(columns, prompts, metrics):
    sizes = {column.name: len(column.texts) for column in columns}
    if prompts is not None:
        sizes["prompts"] = len(prompts)
    sizes |= {f"metrics[{n!r}]": len(x) for n, x in metrics.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(
            "Policies, prompts and metrics must be about the same texts. "
            f"Received: {', '.join(f'{n} of {k}' for k, n in sizes.items())}"
        )


def _checked_metrics(metrics):
    try:
        arrays = {
            name: np.asarray(numbers, "float64")
            for name, numbers in dict(metrics).items()
        }
        are_fine = all(
            isinstance(name, str) and x.ndim == 1 and np.isfinite(x).all()
            for name, x in arrays.items()
        )
    except (TypeError, ValueError):
        are_fine = False
    if not are_fine:
        raise ValueError(
            "`metrics` must be a dictionary from names to lists of finite "
            f"numbers. Received: metrics={shortened(metrics)}"
        )
    return arrays
