"""Conclusions of a comparison, in sentences."""

import math
from typing import NamedTuple

from keras_irl.evaluation.summary import row_estimates
from keras_irl.types import Results

_GREEDY = "greedy"
# Standard errors of a difference, beyond which it is told from 0: 95 %.
_NOTICED = 1.96


def headline(results: Results) -> str:
    """Says in a sentence what came out: greedily, and at equal diversity.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text, a sentence for each policy but the first, which the others are
        compared with; of a policy alone, one.
    """
    names = list(results["objectives"])
    greedy = _greedy_estimates(results)
    fronts = {front["policy"]: front for front in results.get("fronts") or []}
    first, *others = names
    if not others and first in greedy:
        return f"{first} has a {results['metric']} of {greedy[first]} greedily."
    sentences = []
    for name in others:
        parts = [
            _greedy_clause(greedy, name, first, results["metric"]),
            _front_clause(fronts.get(name)),
        ]
        parts = [part for part in parts if part is not None]
        if parts:
            verdicts = {part.verdict for part in parts}
            link = " and " if len(verdicts) == 1 else ", but "
            text = link.join(part.text for part in parts)
            # Where no part has said yet whom it is compared with.
            is_said = first in greedy and name in greedy
            against = "" if is_said else f", compared with {first}"
            sentences.append(f"{name} is {text}{against}.")
    return " ".join(sentences)


class _Clause(NamedTuple):
    """A part of the headline: words, and `"better"`, `"worse"` or `"equal"`."""

    text: str
    verdict: str


def _greedy_estimates(results):
    found = {}
    for name, runs in results["objectives"].items():
        row = row_estimates(runs).get(_GREEDY, {})
        if row.get(results["metric"]) is not None:
            found[name] = row[results["metric"]]
    return found


def _greedy_clause(greedy, name, first, metric):
    if name not in greedy or first not in greedy:
        return None
    one, other = greedy[name], greedy[first]
    decimals = max(one.decimals, other.decimals)
    numbers = f"({one.text(decimals)} against {other.text(decimals)} {metric})"
    errors = (one.standard_error, other.standard_error)
    difference = one.mean - other.mean
    # Without an error, nobody knows what a difference means.
    noticed = None if None in errors else _NOTICED * math.hypot(*errors)
    if difference == 0 or (noticed is not None and abs(difference) <= noticed):
        return _Clause(f"as good as {first} greedily {numbers}", "equal")
    verdict = "better" if difference > 0 else "worse"
    return _Clause(f"{verdict} than {first} greedily {numbers}", verdict)


def _front_clause(front):
    if front is None or front["difference"] is None:
        return None
    low, high = front["difference_low"], front["difference_high"]
    number = f"{front['difference']:+.1f}"
    where = "at equal diversity"
    if low is None:
        verdict = "better" if front["difference"] >= 0 else "worse"
        return _Clause(f"{verdict} {where} ({number}, no interval)", verdict)
    verdict = "better" if low > 0 else "worse" if high < 0 else "equal"
    word = "as good" if verdict == "equal" else verdict
    text = f"{word} {where} ({number}, 95 % {low:+.1f} to {high:+.1f})"
    return _Clause(text, verdict)


def result_sentences(results: Results) -> list[str]:
    """Says the main metric of every decoding strategy, with standard errors.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A list of sentences.
    """
    estimates = {
        name: row_estimates(runs)
        for name, runs in results["objectives"].items()
    }
    metric = results["metric"]
    sentences = []
    for strategy in dict.fromkeys(
        strategy for rows in estimates.values() for strategy in rows
    ):
        found = {
            name: rows[strategy][metric]
            for name, rows in estimates.items()
            if strategy in rows and rows[strategy][metric] is not None
        }
        if found:
            listed = ", ".join(f"{name} {e}" for name, e in found.items())
            sentences.append(
                f"{metric}, {strategy}: {listed}"
                f"{_self_bleu_clause(estimates, strategy)}."
            )
    return sentences


def front_conclusion(results: Results) -> str:
    """Says how much better policies are than the first, at equal diversity.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text, a sentence for each policy but the first; empty where fronts
        were not compared.
    """
    fronts = results.get("fronts") or [{}]
    return " ".join(
        _front_sentence(front, fronts[0], results["metric"])
        for front in fronts[1:]
    )


def _self_bleu_clause(estimates, strategy):
    found = {
        name: rows[strategy].get("self_bleu")
        for name, rows in estimates.items()
        if strategy in rows and rows[strategy].get("self_bleu") is not None
    }
    if not found:
        return ""
    listed = ", ".join(f"{name} {e}" for name, e in found.items())
    return f"; Self-BLEU, the lower the more diverse: {listed}"


def _front_sentence(front, first, metric):
    pair = f"{front['policy']} and {first['policy']}"
    if front["difference"] is None:
        return (
            f"{pair} were not compared at equal diversity: {front['reason']}."
        )
    where = (
        f"At equal Self-BLEU, {front['self_bleu_low']:.1f} to "
        f"{front['self_bleu_high']:.1f}, "
    )
    difference, low, high = (
        front[f"difference{end}"] for end in ("", "_low", "_high")
    )
    higher = "higher" if difference >= 0 else "lower"
    text = (
        f"{where}{metric} of {front['policy']} is {abs(difference):.2f} "
        f"{higher} than that of {first['policy']} on average"
    )
    if low is None:
        text += f", without an interval: {front['reason']}"
    else:
        sources = "prompts"
        if front["runs"] > 1 or first["runs"] > 1:
            sources += " and training runs"
        verdict = "which of them is better is not known"
        if low > 0 or high < 0:
            better = front if low > 0 else first
            verdict = f"{better['policy']} is better there"
        text += (
            f" (95 % interval of the difference over {sources}: {low:+.2f} to "
            f"{high:+.2f}); "
            f"{verdict}"
        )
        alone = [x["policy"] for x in (first, front) if x["runs"] == 1]
        if alone:
            text += (
                f", as far as one training run of {' and '.join(alone)} tells"
            )
    warning = f"; {front['warning']}" if front["warning"] else ""
    return f"{text}{warning}."
