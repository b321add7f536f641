"""Reports of a comparison: tables, pictures and a web page."""

from keras_irl.reporting.report import write_report as write_report
from keras_irl.reporting.tables import format_table as format_table
