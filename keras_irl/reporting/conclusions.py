"""Conclusions of a comparison, in sentences."""

from typing import Any

from keras_irl.evaluation.summary import row_estimates


def result_sentences(results: Any) -> list[Any]:
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


def front_conclusion(results: Any) -> str:
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
