"""Makes the notebook of every guide: `make guides`.

A guide is a Python script whose cells begin with `# %%`. The script is what
people write and review; the notebook beside it is what Colab opens, and holds
nothing that the script does not: `tests/guides` compares them.
"""

import pathlib

import jupytext
import nbformat

GUIDES = pathlib.Path(__file__).parent


def scripts():
    """The guides, in their order."""
    return sorted(GUIDES.glob("[0-9][0-9]_*.py"))


def notebook_path(script):
    return script.parent / "notebooks" / f"{script.stem}.ipynb"


def notebook(script):
    """The text of a guide's notebook; equal scripts make equal texts."""
    made = jupytext.read(script, fmt="py:percent")
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("cell_marker", None)
    made.metadata = nbformat.from_dict(
        {
            "colab": {"name": script.stem, "toc_visible": True},
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        }
    )
    made.nbformat, made.nbformat_minor = 4, 5
    nbformat.validate(made)
    return nbformat.writes(made) + "\n"


def main():
    for script in scripts():
        path = notebook_path(script)
        path.parent.mkdir(exist_ok=True)
        path.write_text(notebook(script), "utf-8")
        print(path.relative_to(GUIDES.parent))


if __name__ == "__main__":
    main()
