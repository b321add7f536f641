"""Tables, pictures and web pages: of a comparison, and of learned rewards."""

from keras_irl.reporting.heat_maps import heat_map as heat_map
from keras_irl.reporting.report import write_report as write_report
from keras_irl.reporting.reward_analysis import (
    format_best_of_n as format_best_of_n,
)
from keras_irl.reporting.reward_analysis import (
    format_correlations as format_correlations,
)
from keras_irl.reporting.tables import format_table as format_table
