"""Reports of a comparison: tables, pictures, a web page, and whole files."""

from keras_irl.reporting.report import write_report as write_report
from keras_irl.reporting.tables import format_table as format_table
