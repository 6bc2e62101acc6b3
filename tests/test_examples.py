"""The notebook runs from its first cell to its last, in an empty folder."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "first_steps.ipynb"


@pytest.mark.many
def test_the_first_steps_run_as_they_are(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    shown = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert sum("image/png" in o.get("data", {}) for o in shown) == 4
    assert not [o for o in shown if o.output_type == "error"]
    assert [path.name for path in tmp_path.iterdir()] == ["first_steps"]


def test_its_outputs_name_no_machine():
    text = NOTEBOOK.read_text()
    assert "site-packages" not in text
    assert str(Path.home()) not in text
