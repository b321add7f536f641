"""The script that sorts the tables of a page, the only one it may run."""

import base64
import hashlib
import importlib.resources
from typing import NamedTuple

import markupsafe


class Script(NamedTuple):
    """A script, and the digest by which a page allows it.

    Attributes:
        code: Its text, as markup.
        digest: Its source for the `script-src` of a content security policy:
            a browser runs no script with another.
    """

    code: markupsafe.Markup
    digest: str


def sorting_script() -> Script:
    """Reads the script that sorts tables by the column that is pressed.

    Returns:
        A `Script`.

    Example:
    >>> sorting_script().digest[:7]
    'sha256-'
    """
    folder = importlib.resources.files("keras_irl") / "templates"
    code = (folder / "sorting.js").read_text("utf-8").strip()
    digest = hashlib.sha256(code.encode("utf-8")).digest()
    return Script(
        markupsafe.Markup(code),
        f"sha256-{base64.b64encode(digest).decode('ascii')}",
    )
