"""Texts with every token coloured by its reward."""

import html

import numpy as np

from keras_irl.arguments import column
from keras_irl.evaluation.shown_text import visible
from keras_irl.evaluation.whole_files import write_whole
from keras_irl.rewards.heat_map_picture import draw_heat_map
from keras_irl.rewards.shading import color
from keras_irl.rewards.shading import color_limit
from keras_irl.rewards.token_rewards import are_text_rewards

_MAX_POLICIES = 2
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em; color: #222;
  max-width: 80em; }
h1 { font-size: 1.3em; }
h2 { font-size: 1em; margin: 2em 0 0; white-space: pre-wrap;
  unicode-bidi: isolate; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th { text-align: left; font-weight: normal; color: #666; }
td { vertical-align: top; padding-right: 2em; }
.tokens { font-family: ui-monospace, monospace; direction: ltr;
  white-space: pre-wrap; line-height: 1.9; overflow-wrap: anywhere; }
.tokens span { unicode-bidi: isolate; padding: 2px 0; }
.legend span { display: inline-block; padding: 2px 8px; }
"""


def heat_map(policies, folder, prompts=None, max_texts=50, name="heat_map"):
    """Colours tokens by their rewards, as a web page and as a picture.

    White is a reward of 0, blue is above and orange below. Two policies stand
    side by side with one scale. The page holds no script and loads nothing;
    whatever stands in a text is shown and not interpreted.

    Args:
        policies: The `TextRewards` of some texts; or a dictionary of one or
            two such lists by the names of the policies, for the same texts.
        folder: Where to write; made if it does not exist.
        prompts: Strings, what the texts answer. Defaults to none.
        max_texts: The page shows so many, the picture the first of them.
            Defaults to 50.
        name: Name of the files without ending. Defaults to `"heat_map"`.

    Returns:
        Paths of the page and of the picture. Both are there, or neither.

    Raises:
        ValueError: If there are no texts or more than two policies, or lists
            disagree in length.
    """
    files = heat_map_files(policies, prompts, max_texts, name)
    return write_whole(files, folder)


def heat_map_files(policies, prompts=None, max_texts=50, name="heat_map"):
    """Makes what `heat_map` writes, and describes.

    Args:
        policies: See `heat_map`.
        prompts: See `heat_map`.
        max_texts: See `heat_map`.
        name: See `heat_map`.

    Returns:
        Dictionary from the names of files to a string and bytes.

    Raises:
        ValueError: See `heat_map`.
    """
    if prompts is not None:
        prompts = list(column("prompts", prompts))
    policies = _check(policies, prompts, max_texts)
    num_texts = len(next(iter(policies.values())))
    shown = {key: texts[:max_texts] for key, texts in policies.items()}
    prompts = [None] * num_texts if prompts is None else prompts
    return {
        f"{name}.html": _page(shown, prompts[:max_texts], num_texts),
        f"{name}.png": draw_heat_map(shown, prompts),
    }


def _page(policies, prompts, num_texts):
    limit = color_limit(policies)
    count = f"{len(prompts)} of {num_texts} texts"
    sections = [
        _section(row, prompt, policies, limit)
        for row, prompt in enumerate(prompts)
    ]
    return "\n".join(
        [
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>Rewards of tokens</title><style>{_STYLE}</style></head>",
            f"<body><h1>Rewards of tokens, {count}</h1>",
            _legend(limit),
            *sections,
            "</body></html>\n",
        ]
    )


def _legend(limit):
    spans = []
    for reward in np.linspace(-limit, limit, 9):
        background, ink = color(reward, limit)
        style = f"background:{background};color:{ink}"
        spans.append(f'<span style="{style}">{reward:+.2f}</span>')
    return (
        f'<p class="legend">{"".join(spans)} nats per token. Beyond these, '
        "the colour stays. Point at a token for its numbers.</p>"
    )


def _section(row, prompt, policies, limit):
    title = f"Text {row}" if prompt is None else _shown(prompt)
    heads = "".join(
        f"<th>{_shown(name)}: {_summary(texts[row])}</th>"
        for name, texts in policies.items()
    )
    cells = "".join(
        f'<td class="tokens">{_tokens(texts[row], limit)}</td>'
        for texts in policies.values()
    )
    return f"<h2>{title}</h2><table><tr>{heads}</tr><tr>{cells}</tr></table>"


def _summary(text):
    cut = "" if text.finished else ", cut"
    return (
        f"reward {text.total:+.2f}, {text.mean:+.2f} per token, "
        f"log-likelihood {text.log_likelihood:.2f}{cut}"
    )


def _tokens(text, limit):
    columns = (
        text.tokens,
        text.rewards,
        text.action_values,
        text.values,
        text.log_probs,
    )
    spans = []
    for token, reward, q, v, log_prob in zip(*columns, strict=True):
        background, ink = color(reward, limit)
        numbers = f"reward {reward:+.3f}, Q {q:.3f}, V {v:.3f}, "
        numbers += f"log-probability {log_prob:.3f}"
        spans.append(
            f'<span style="background:{background};color:{ink}" '
            f'title="{numbers}">{_shown(token)}</span>'
        )
        if "\n" in token:
            spans.append("<br>")
    return "".join(spans)


def _shown(text):
    return html.escape(visible(text), quote=True)


def _check(policies, prompts, max_texts):
    if not isinstance(policies, dict):
        policies = {"policy": policies}
    if not 1 <= len(policies) <= _MAX_POLICIES:
        raise ValueError(
            f"A heat map shows one policy, or {_MAX_POLICIES} side by side. "
            f"Received: {len(policies)} policies"
        )
    for name, texts in policies.items():
        if not are_text_rewards(texts) or not texts:
            raise ValueError(
                "A policy needs a list of `TextRewards`, at least one, as "
                "`token_rewards` returns. "
                f"Received: policies[{name!r}]={texts!r:.100}"
            )
        _check_rewards(name, texts)
    for row, prompt in enumerate(prompts or ()):
        if not isinstance(prompt, str):
            raise ValueError(
                "`prompts` must be a list of strings, one for each text. "
                f"Received: prompts[{row}]={prompt!r:.200}"
            )
    sizes = {name: len(texts) for name, texts in policies.items()}
    if prompts is not None:
        sizes["prompts"] = len(prompts)
    if len(set(sizes.values())) > 1:
        raise ValueError(
            "Policies and prompts must be about the same texts. "
            f"Received: {', '.join(f'{n} of {k}' for k, n in sizes.items())}"
        )
    if not isinstance(max_texts, int) or max_texts < 1:
        raise ValueError(
            "`max_texts` must be an integer of at least 1. "
            f"Received: max_texts={max_texts!r}"
        )
    return policies


def _check_rewards(name, texts):
    for row, text in enumerate(texts):
        numbers = (text.rewards, text.action_values, text.values)
        if not len(text.rewards) or not np.isfinite(numbers).all():
            raise ValueError(
                "Every text needs one token at least, and rewards and values "
                "that are finite numbers; leave it out. Received: "
                f"policies[{name!r}][{row}].rewards={text.rewards!r:.200}"
            )
