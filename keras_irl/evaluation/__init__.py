"""Evaluation: sweeps over decoders, fronts of quality and diversity."""

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
from keras_irl.generation.responses import Responses as Responses
from keras_irl.generation.responses import ResponseSampler as ResponseSampler
from keras_irl.generation.responses import sample_responses as sample_responses
from keras_irl.metrics.answers import majority_vote as majority_vote
from keras_irl.metrics.answers import pass_at_k as pass_at_k
from keras_irl.metrics.diversity import distinct_n as distinct_n
from keras_irl.metrics.diversity import self_bleu as self_bleu
from keras_irl.metrics.quality import bleu as bleu
from keras_irl.metrics.quality import chrf as chrf
from keras_irl.metrics.quality import exact_match as exact_match
from keras_irl.metrics.rouge import rouge_1 as rouge_1
from keras_irl.metrics.rouge import rouge_2 as rouge_2
from keras_irl.metrics.rouge import rouge_lsum as rouge_lsum
from keras_irl.metrics.text_metrics import TextMetric as TextMetric
from keras_irl.metrics.text_metrics import mean_over_texts as mean_over_texts
from keras_irl.metrics.text_metrics import sum_over_texts as sum_over_texts

__getattr__ = _offer(
    __name__,
    {
        "EvaluateGeneration": "keras_irl.callbacks",
        "format_table": "keras_irl.reporting",
        "write_report": "keras_irl.reporting",
    },
    removed_in="0.3",
)
