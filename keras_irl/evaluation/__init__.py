"""The judges: what the responses of a policy are worth, however trained."""

from keras_irl.evaluation.answers import majority_vote as majority_vote
from keras_irl.evaluation.answers import pass_at_k as pass_at_k
from keras_irl.evaluation.callbacks import (
    EvaluateGeneration as EvaluateGeneration,
)
from keras_irl.evaluation.diversity import distinct_n as distinct_n
from keras_irl.evaluation.diversity import self_bleu as self_bleu
from keras_irl.evaluation.front_comparison import (
    compare_fronts as compare_fronts,
)
from keras_irl.evaluation.fronts import AreaDifference as AreaDifference
from keras_irl.evaluation.fronts import area_difference as area_difference
from keras_irl.evaluation.fronts import area_under_front as area_under_front
from keras_irl.evaluation.fronts import pareto_front as pareto_front
from keras_irl.evaluation.fronts import quality_difference as quality_difference
from keras_irl.evaluation.generation import ResponseSampler as ResponseSampler
from keras_irl.evaluation.generation import sample_responses as sample_responses
from keras_irl.evaluation.quality import bleu as bleu
from keras_irl.evaluation.quality import chrf as chrf
from keras_irl.evaluation.quality import exact_match as exact_match
from keras_irl.evaluation.report import write_report as write_report
from keras_irl.evaluation.responses import Responses as Responses
from keras_irl.evaluation.rouge import rouge_1 as rouge_1
from keras_irl.evaluation.rouge import rouge_2 as rouge_2
from keras_irl.evaluation.rouge import rouge_lsum as rouge_lsum
from keras_irl.evaluation.sweep import pick_samples as pick_samples
from keras_irl.evaluation.sweep import sweep as sweep
from keras_irl.evaluation.tables import format_table as format_table
from keras_irl.evaluation.text_metrics import TextMetric as TextMetric
from keras_irl.evaluation.text_metrics import mean_over_texts as mean_over_texts
from keras_irl.evaluation.text_metrics import sum_over_texts as sum_over_texts
