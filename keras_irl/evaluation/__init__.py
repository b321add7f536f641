"""Evaluation of policies: decoding sweeps and quality-diversity fronts."""

from keras_irl.aliases import offer as _offer
from keras_irl.evaluation.front_comparison import (
    compare_fronts as compare_fronts,
)
from keras_irl.evaluation.fronts import AreaDifference as AreaDifference
from keras_irl.evaluation.fronts import area_difference as area_difference
from keras_irl.evaluation.fronts import area_under_front as area_under_front
from keras_irl.evaluation.fronts import pareto_front as pareto_front
from keras_irl.evaluation.fronts import quality_difference as quality_difference
from keras_irl.evaluation.sweeps import pick_samples as pick_samples
from keras_irl.evaluation.sweeps import sweep as sweep
from keras_irl.metrics.diversity import self_bleu as self_bleu

# Each stands in one room; `self_bleu` is named here by the contract.
_METRICS = (
    "TextMetric",
    "bleu",
    "chrf",
    "distinct_n",
    "exact_match",
    "majority_vote",
    "mean_over_texts",
    "pass_at_k",
    "rouge_1",
    "rouge_2",
    "rouge_lsum",
    "sum_over_texts",
)
__getattr__ = _offer(
    __name__,
    {
        **dict.fromkeys(_METRICS, "keras_irl.metrics"),
        "EvaluateGeneration": "keras_irl.callbacks",
        "ResponseSampler": "keras_irl.generation",
        "Responses": "keras_irl.generation",
        "format_table": "keras_irl.reporting",
        "sample_responses": "keras_irl.generation",
        "write_report": "keras_irl.reporting",
    },
    removed_in="0.3",
)
