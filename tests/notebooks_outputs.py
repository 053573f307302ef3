"""Run the notebooks and keep them with what they print: `python tests/notebooks_outputs.py`, or `make notebooks`.

Each runs in a kernel of its own and in a new folder, so that no path of this machine is in it.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"


def main() -> None:
    """Run those that are named by a part of their name, or all."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if sys.argv[1:] and not any(word in path.name for word in sys.argv[1:]):
            continue
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            place = {"metadata": {"path": folder}}
            NotebookClient(notebook, timeout=900, kernel_name="python3", resources=place).execute()
        for cell in notebook.cells:
            cell.metadata = {}
        notebook.metadata.pop("language_info", None)
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()
