"""What the pictures of a comparison show, in words and numbers."""

from keras_irl.evaluation.pictures import finite_history
from keras_irl.evaluation.pictures import points_and_levels
from keras_irl.evaluation.results import curve_of


def quality_vs_diversity_in_words(results):
    """Tells who stands where, for those who don't see the picture.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text of sentences.
    """
    metric = results["metric"]
    sentences = [f"{metric} against Self-BLEU, both in per cent."]
    for name, runs in results["objectives"].items():
        points, levels = points_and_levels(runs, metric)
        found = [
            f"{way} {quality} at Self-BLEU {alike}"
            for way, (alike, quality) in points.items()
        ]
        found += [f"{way} {quality}" for way, quality in levels.items()]
        if found:
            sentences.append(f"{name}: {', '.join(found)}.")
    return " ".join(sentences)


def learning_curves_in_words(results):
    """Tells how losses on held-out texts went, for those who see no picture.

    Args:
        results: See `keras_irl/evaluation/results.py`.

    Returns:
        A text of sentences.
    """
    which = curve_of(results).capitalize()
    sentences = [
        f"{which} negative log-likelihood in nats per token over steps."
    ]
    for name, runs in results["objectives"].items():
        curve = finite_history(runs)
        if not curve:
            continue
        steps = list(curve)
        lowest = min(steps, key=lambda step: curve[step].mean)
        sentences.append(
            f"{name}: {curve[steps[0]]} at step {steps[0]}, "
            f"{curve[steps[-1]]} at step {steps[-1]}, "
            f"lowest {curve[lowest]} at step {lowest}."
        )
    return " ".join(sentences)
