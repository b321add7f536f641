"""Configuration of the site, which `make docs` builds."""

import os
import pathlib
import sys

DOCS = pathlib.Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(DOCS / "extensions")]
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import made_pages  # noqa: E402

from keras_irl.version import __version__  # noqa: E402

project = "keras_irl"
author = "The keras_irl authors"
version = release = __version__
# Where files are shown that are no pages, as the workflow knows it.
repository = os.environ.get("KERAS_IRL_REPOSITORY", "")

extensions = [
    "docstrings",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["build", "extensions"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
# What is in single backticks is code, as in Markdown.
default_role = "code"
suppress_warnings = ["myst.header"]
nitpicky = False

myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 4
# `cache` runs the guides that changed, for their outputs; `off` runs none.
nb_execution_mode = os.environ.get("KERAS_IRL_RUN_GUIDES", "cache")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
# What libraries say of the machine that builds the site tells readers nothing.
nb_output_stderr = "remove"
nb_merge_streams = True

# What Keras documents of the methods that are overridden is not ours.
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Departures from the paper"]

html_theme = "furo"
html_title = f"keras_irl {__version__}"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}

made_pages.make_pages(DOCS, ROOT, repository)


def setup(app):
    """Lets pages link to files of the repository, which stand here too."""
    app.connect("source-read", made_pages.link_to_pages)
