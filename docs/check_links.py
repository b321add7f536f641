"""Checks that every link of the site leads somewhere within it.

    python docs/check_links.py docs/build/html

Links to other sites are not followed: whether these are there is not ours.
"""

import html.parser
import pathlib
import sys
import urllib.parse


class Page(html.parser.HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def broken_links(folder):
    """Finds links that lead nowhere.

    Args:
        folder: `pathlib.Path` of the site.

    Returns:
        List of strings, `page: link`.
    """
    pages = {
        path.resolve(): Page(path.read_text("utf-8"))
        for path in sorted(folder.rglob("*.html"))
    }
    found = []
    for path, page in pages.items():
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            file = path
            if parts.path:
                target = urllib.parse.unquote(parts.path)
                file = (path.parent / target).resolve()
            is_there = file.exists() and file.is_relative_to(folder.resolve())
            anchor = urllib.parse.unquote(parts.fragment)
            if is_there and anchor and file in pages:
                is_there = anchor in pages[file].anchors
            if not is_there:
                found.append(f"{path.relative_to(folder.resolve())}: {link}")
    return found


def main(folder):
    """Prints broken links; the exit code is 1 where there are any."""
    found = broken_links(pathlib.Path(folder))
    print(*found, sep="\n")
    print(f"{len(found)} broken links.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
