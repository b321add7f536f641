"""Pages that are made of other files before Sphinx reads them.

The benchmarks, the changelog and the table of families stand in the repository
and are read there too: here they are copied, with their links turned around.
The API reference has a page for each room, of what it offers. Guides are
notebooks; those that are there are rendered.
"""

import importlib
import inspect
import re
import shutil

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
# Where a page of the site stands for a file of the repository.
PAGES = {
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/demo.md": "demo.md",
    "benchmarks/scaling.md": "scaling.md",
    "CHANGELOG.md": "changelog.md",
}
ROOMS = (
    *("losses", "trainers", "data", "tasks", "generation", "metrics"),
    *("evaluation", "rewards", "reporting", "callbacks", "diagnosis"),
    *("models", "distribution", "families", "optimizers", "ops"),
)


def make_pages(docs, root, repository):
    """Makes all of them in `docs/made`.

    Args:
        docs: `pathlib.Path` of this folder.
        root: That of the repository.
        repository: Address of its files, or `""`: links to these are left out.
    """
    made = docs / "made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for source, page in PAGES.items():
        path = root / source
        text = path.read_text("utf-8")
        text = _with_links(text, path, root, made, repository)
        (made / page).write_text(text, "utf-8")
    (made / "families.md").write_text(_families(root), "utf-8")
    (made / "api").mkdir()
    for room in ROOMS:
        (made / "api" / f"{room}.md").write_text(_room(room), "utf-8")
    _guides(root, made / "guides", repository)


def _with_links(text, path, root, made, repository):
    """Links from one file of the repository, as the site has them."""

    def link(match):
        is_image, words, target = match.groups()
        address, mark, anchor = target.partition("#")
        if "://" in target or not address:
            return match[0]
        file = (path.parent / address).resolve()
        if not file.is_relative_to(root.resolve()):
            return words
        inside = file.relative_to(root.resolve()).as_posix()
        if inside in PAGES:
            up = "../" * (made.name == "guides")
            return f"[{words}]({up}{PAGES[inside]}{mark}{anchor})"
        if is_image:
            shutil.copy(file, made / inside.replace("/", "-"))
            return f"![{words}]({inside.replace('/', '-')})"
        return f"[{words}]({repository}/{inside})" if repository else words

    return _LINK.sub(link, text)


def link_to_pages(app, docname, source):
    """Turns links to files of the repository into those to their pages.

    Args:
        app: The application of Sphinx.
        docname: Name of a page.
        source: List of its text, changed in place.
    """
    if not docname.startswith("made/"):
        for file, page in PAGES.items():
            source[0] = source[0].replace(f"(../{file}", f"(made/{page}")


def _families(root):
    text = (root / "README.md").read_text("utf-8")
    start, end = "<!-- families: start -->", "<!-- families: end -->"
    table = text.partition(start)[2].partition(end)[0]
    return (
        "# Supported families\n\nEvery text model of keras-hub is trained. "
        '"Or not" is '
        "a choice of the preset; `keras_irl.models.enable_lora(policy)` "
        "freezes a policy but for low-rank updates of the layers that are "
        f"named here, or of those that you name.\n\n{table.strip()}\n"
    )


def _room(name):
    """The page of a room: what it offers, each with its docstring."""
    module = importlib.import_module(f"keras_irl.{name}")
    first, *rest = inspect.getdoc(module).split("\n")
    elsewhere = []
    parts = [
        f"# {name}",
        first,
        "\n".join(rest).strip(),
        f"```{{eval-rst}}\n.. py:module:: keras_irl.{name}\n```",
    ]
    for offered, value in sorted(vars(module).items()):
        if offered.startswith("_") or inspect.ismodule(value):
            continue
        home = _home(value)
        if home != name and home in ROOMS and offered in _door(home):
            # Documented where it is defined.
            elsewhere.append(f"[`{offered}`]({home}.md#{offered.lower()})")
            continue
        entry = _entry(name, offered, value)
        parts.append(f"## {offered}\n\n```{{eval-rst}}\n{entry}\n```")
    if elsewhere:
        parts.insert(3, f"Offered here too: {', '.join(elsewhere)}.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _door(room):
    return vars(importlib.import_module(f"keras_irl.{room}"))


def _home(value):
    """The room that something is defined in, or `""`."""
    module = vars(value).get("__module__", "") if callable(value) else ""
    return module.split(".")[1] if module.startswith("keras_irl.") else ""


def _entry(room, offered, value):
    place = f"keras_irl.{room}.{offered}"
    if inspect.isclass(value):
        return f".. autoclass:: {place}\n   :members:"
    if callable(value):
        return f".. autofunction:: {place}"
    return f".. py:data:: {place}\n\n   A `{type(value).__name__}`."


def _guides(root, made, repository):
    """Notebooks, and scripts beside which there is none, as notebooks."""
    import jupytext

    made.mkdir()
    source = root / "guides"
    paths = {path.stem: path for path in source.glob("[0-9][0-9]_*.py")}
    paths |= {path.stem: path for path in source.rglob("*.ipynb")}
    for name, path in paths.items():
        notebook = jupytext.read(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _with_links(
                    cell.source, path, root, made, repository
                )
        jupytext.write(notebook, made / f"{name}.ipynb")
    names = sorted(paths)
    listed = "\n".join(names)
    (made / "index.md").write_text(
        "# Guides\n\nEach is a notebook to open in Colab, runs as it is in a "
        "minute or two on two CPU cores, and ends in a cell that scales it "
        "up. They ask for Keras and not for reinforcement learning.\n\n"
        + (
            f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n"
            if names
            else "The guides stand in the folder `guides` of the repository.\n"
        ),
        "utf-8",
    )
