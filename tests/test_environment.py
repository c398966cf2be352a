"""The environment: `.env.example` is complete, and what cannot be used is one clear line."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from vapiadmin.environment import KNOWN

ROOT = Path(settings.BASE_DIR)


def test_example_lists_every_variable_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text()
    listed = re.findall(r"^#?([A-Z][A-Z_]+)=", example, flags=re.MULTILINE)
    assert sorted(listed) == sorted(KNOWN)


def test_settings_read_every_variable_and_no_other() -> None:
    assert set(_names_read(ast.parse((ROOT / "vapiadmin" / "settings.py").read_text()))) == KNOWN


def _names_read(tree: ast.Module) -> Iterator[str]:
    """The names in env.str("NAME", ...) and port_number(env, "NAME", ...)."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        names = [part.value for part in call.args if isinstance(part, ast.Constant)]
        of_env = isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "env"
        with_env = bool(call.args) and ast.unparse(call.args[0]) == "env"
        if names and (of_env or with_env):
            yield str(names[0])


def test_nothing_else_reads_the_environment() -> None:
    allowed = {
        "vapiadmin/environment.py",
        "manage.py",
        "vapiadmin/web.py",
        "vapiadmin/wsgi.py",
        "vapiadmin/celery.py",
        # They hand it on to processes that they start.
        "sessions_app/management/edit_benchmark.py",
        "sessions_app/management/fresh_benchmark.py",
        "sessions_app/management/kill_benchmark.py",
        "sessions_app/management/sync_benchmark.py",
    }
    for path in [*ROOT.glob("*.py"), *ROOT.glob("vapiadmin/*.py"), *ROOT.glob("sessions_app/**/*.py")]:
        name = str(path.relative_to(ROOT))
        assert name in allowed or "os.environ" not in path.read_text(), name


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PORT", "80x", "PORT must be a number"),
        ("PORT", "70000", "PORT must be a number"),
        ("PUBLIC_URL", "example.com", "PUBLIC_URL must be an address"),
        ("VAPI_BASE_URL", "ftp://example.com", "VAPI_BASE_URL must be an address"),
        ("DATABASE_URL", "nonsense", "DATABASE_URL must be like"),
        ("DATABASE_URL", "mysql://host/name", "DATABASE_URL must be like"),
        ("TIME_ZONE", "Mars/Olympus", "TIME_ZONE must be"),
        ("EMAIL_URL", "nonsense://host", "EMAIL_URL must be like"),
        ("EMAIL_URL", "smtp://", "EMAIL_URL must be like"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL must be one of"),
        ("FIELD_ENCRYPTION_KEYS", "short", "FIELD_ENCRYPTION_KEYS must be"),
        ("DEBUG", "off", "set SECRET_KEY"),
        ("VAR_DIR", "/dev/null/var", "cannot write /dev/null/var"),
        ("SECRET_KEY_FILE", "/dev/null/key", "SECRET_KEY_FILE names a file that cannot be read"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(
    name: str, value: str, words: str, tmp_path: Path
) -> None:
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), name: value}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"vapiadmin: {words}")
    assert done.stderr.count("\n") == 1


def test_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    environment = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "from vapiadmin.settings import *; print(VAPI_API_KEY, DEMO, DATABASE_URL)"],
        cwd=ROOT, env=environment | {"VAPI_API_KEY_FILE": str(tmp_path / "key")}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["from-a-file", "False", f"sqlite:///{tmp_path}/vapiadmin.sqlite3"]
    # Made on first use, for nobody else to read.
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
