"""HTML pages from templates, with every value escaped."""

import jinja2
import markupsafe

from keras_irl.reporting.escaping import readable
from keras_irl.reporting.escaping import visible


def render(template, **values):
    """Renders a page from a template of this room.

    Every value is shown by `visible` and escaped, whether or not the template
    asks for it; the filter `readable` keeps the lines of a longer text.

    Args:
        template: Name of a file in `keras_irl/reporting/templates`.
        **values: What the template names.

    Returns:
        A string.
    """
    return _ENVIRONMENT.get_template(template).render(values)


def _shown(value):
    is_markup = isinstance(value, markupsafe.Markup)
    return value if is_markup else visible(str(value))


def _readable(text):
    return markupsafe.escape(readable(text))


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("keras_irl", "reporting/templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["readable"] = _readable
