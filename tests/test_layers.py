"""The house: imports go down only, and whoever stores asks no one outside."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
NETWORK = {"requests", "urllib3", "urllib", "http", "redis"}
ANSWERS = {"HttpResponse", "HttpResponseBadRequest", "HttpResponseForbidden", "StreamingHttpResponse"}
PROJECT = [*ROOT.glob("sessions_app/**/*.py"), *ROOT.glob("vapiadmin/*.py")]


def test_imports_go_down_the_house_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_what_stores_and_computes_asks_no_one_outside() -> None:
    for folder in ("models", "costs", "search", "customers", "edits", "mirror"):
        for path in ROOT.glob(f"sessions_app/{folder}/**/*.py"):
            assert not _imported(path) & NETWORK, path


def test_modules_are_named_for_what_they_own() -> None:
    assert not [path for path in PROJECT if path.stem in {"utils", "helpers", "common", "misc"}]
    banned = ("Manager", "Helper", "Service", "Util")
    classes = [
        node.name
        for path in PROJECT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert not [name for name in classes if name.endswith(banned)]


@pytest.mark.parametrize("path", PROJECT, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_says_what_it_owns(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or "migrations" in path.parts or ast.get_docstring(ast.parse(text)), path


@pytest.mark.parametrize("path", PROJECT, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_answer_with_words_says_what_they_are(path: Path) -> None:
    """Else they are a page, whatever they hold."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and _name_of(node.func) in ANSWERS:
            assert "content_type" in {keyword.arg for keyword in node.keywords}, f"{path}:{node.lineno}"


def _name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    # urllib.parse reads addresses and asks nobody.
    return names - ({"urllib"} if "from urllib.parse import" in path.read_text() else set())
