"""Pages in a browser without a window, where one is installed."""

import html.parser
import shutil
import subprocess

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def dom_of(source, path):
    """What a browser makes of a page, after its scripts have run.

    Args:
        source: String, the page.
        path: Where to write it.

    Returns:
        `Dom`.
    """
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        pytest.skip(f"No browser is installed: none of {', '.join(_NAMES)}.")
    path.write_bytes(source.encode())
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu"]
    command += [f"--user-data-dir={path.parent / 'profile'}"]
    command += ["--virtual-time-budget=1000", "--window-size=500,900"]
    command += ["--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    return Dom(done.stdout.decode())


def unprotected(source):
    """A page without the policy that forbids scripts, and nothing else."""
    start = source.index('<meta http-equiv="Content-Security-Policy"')
    return source[:start] + source[source.index(">", start) + 1 :]


class Dom(html.parser.HTMLParser):
    """Tags, attributes, texts and the title of what a browser dumped."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.title = ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)
        if self.tags[-1:] == ["title"] and not self.title:
            self.title = data
