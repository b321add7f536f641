"""Metrics of responses: quality, diversity, answers, and their intervals."""

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
