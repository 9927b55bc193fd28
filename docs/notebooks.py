"""Run the notebooks of docs/notebooks from top to bottom, and keep their outputs.

python docs/notebooks.py [NAME ...]    # by default all of them
"""

import base64
import sys
from pathlib import Path

import nbformat
from gallery import compact
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "notebooks"
SECONDS = 120  # a cell may take


def executed(path: Path) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of a run in a new kernel.

    What it writes to standard error is an error.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", record_timing=False
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise RuntimeError(f"{path.name}: {cell.source}\n{output.text}")
    return notebook


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs between two runs of the same code."""
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count = None
            for output in cell.outputs:
                if "text/html" in output.get("data", {}):
                    output.data.pop("text/plain", None)
                if "image/png" in output.get("data", {}):
                    png = compact(base64.b64decode(output.data["image/png"]))
                    output.data["image/png"] = base64.b64encode(png).decode()
                if "execution_count" in output:
                    output.execution_count = None
    return notebook


if __name__ == "__main__":
    names = sys.argv[1:] or sorted(path.name for path in FOLDER.glob("*.ipynb"))
    for name in names:
        nbformat.write(cleaned(executed(FOLDER / name)), FOLDER / name)
        print(FOLDER / name)
