"""What a comparison found, in sentences."""

from keras_irl.evaluation.summary import row_estimates


def findings(results):
    """Tells the results of each decoding, with their errors.

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
    for way in dict.fromkeys(
        way for rows in estimates.values() for way in rows
    ):
        found = {
            name: rows[way][metric]
            for name, rows in estimates.items()
            if way in rows and rows[way][metric] is not None
        }
        if found:
            listed = ", ".join(f"{name} {e}" for name, e in found.items())
            alike = _alike(estimates, way)
            sentences.append(f"{metric}, {way}: {listed}{alike}.")
    return sentences


def conclusion_of(results):
    """Tells what the comparison of the fronts found.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text of sentences, empty where no fronts were compared.
    """
    fronts = results.get("fronts") or [{}]
    return " ".join(
        _front_sentence(front, fronts[0]["policy"])
        for front in fronts[1:]
        if front["difference"] is not None
    )


def _alike(estimates, way):
    found = {
        name: rows[way].get("self_bleu")
        for name, rows in estimates.items()
        if way in rows and rows[way].get("self_bleu") is not None
    }
    if not found:
        return ""
    listed = ", ".join(f"{name} {e}" for name, e in found.items())
    return f"; Self-BLEU, the lower the more diverse: {listed}"


def _front_sentence(front, first):
    difference, low, high = (
        front[f"difference{end}"] for end in ("", "_low", "_high")
    )
    text = (
        f"Area under the front of quality and diversity: {front['policy']} "
        f"{difference:+.2f} against {first}"
    )
    if low is None:
        return f"{text}, without an interval: {front['reason']}."
    differs = "does not hold 0" if low > 0 or high < 0 else "holds 0"
    return f"{text}; the interval of 95 %, {low:.2f} to {high:.2f}, {differs}."
