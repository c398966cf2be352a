"""How the suite is shared out: a module with a product goes to one worker whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.conf import settings

from sessions_app.vapi.reader import processors
from tests.distribution import WITH_A_PRODUCT


def test_the_modules_with_a_product_are_named() -> None:
    folder = Path(settings.BASE_DIR)
    found = {str(path.relative_to(folder)) for path in folder.glob("tests/browser/test_*.py")}
    assert set(WITH_A_PRODUCT) == found | {"tests/management/test_run.py"}


def test_one_worker_takes_a_module_whole(tmp_path: Path) -> None:
    """A suite of two modules, each with more tests than there are workers, of which one is named."""
    for module in (WITH_A_PRODUCT[0], "tests/test_other.py"):
        path = tmp_path / module
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "import os, pathlib, time, pytest\n"
            "@pytest.mark.parametrize('number', range(12))\n"
            "def test(number):\n"
            "    time.sleep(0.02)\n"
            f"    pathlib.Path({str(tmp_path)!r}, f'{path.stem}-{{number}}')"
            ".write_text(os.environ['PYTEST_XDIST_WORKER'])\n"
        )
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-nauto", "-p", "tests.distribution", "-p", "no:django", "tests"],
        cwd=tmp_path, env={"PYTHONPATH": str(settings.BASE_DIR)}, check=True, capture_output=True, text=True,
        timeout=60,
    ).stdout  # fmt: skip
    assert f"created: {processors() + 2}" in told
    workers = {
        name: {path.read_text() for path in tmp_path.glob(f"{name}-*")}
        for name in (Path(WITH_A_PRODUCT[0]).stem, "test_other")
    }
    assert len(workers[Path(WITH_A_PRODUCT[0]).stem]) == 1
    assert len(workers["test_other"]) > 1
