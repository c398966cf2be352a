"""Reads the process environment for settings.py: `.env`, `NAME_FILE`, and keys made on first use."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import environ
from cryptography.fernet import Fernet

USAGE_ERROR = 2


def stop(message: str) -> NoReturn:
    """End the process with one clear line and exit code 2 (usage or configuration)."""
    sys.stderr.write(f"vapiadmin: {message}\n")
    raise SystemExit(USAGE_ERROR)


def read_environment(base: Path) -> environ.Env:
    """Return the environment with `base/.env` and every `NAME_FILE` folded in; what is set already wins."""
    environ.Env.read_env(str(base / ".env"), overwrite=False) if (base / ".env").is_file() else None
    for name in [name for name in os.environ if name.endswith("_FILE")]:
        target = name.removesuffix("_FILE")
        if target in KNOWN and target not in os.environ:
            os.environ[target] = _read_secret_file(name)
    return environ.Env()


def key_from_file(path: Path, make: Callable[[], str]) -> str:
    """Return the key stored in `path`, making it with mode 0600 on first use. Two processes agree on one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError as error:
        stop(
            f"cannot write {path}: {error.strerror}. Make the folder writable or set VAR_DIR to one that is."
        )
    with os.fdopen(descriptor, "w") as file:
        file.write(make())
    return path.read_text().strip()


def make_secret_key() -> str:
    return secrets.token_urlsafe(50)


def make_encryption_key() -> str:
    return Fernet.generate_key().decode()


def _read_secret_file(name: str) -> str:
    try:
        return Path(os.environ[name]).read_text().strip()
    except OSError as error:
        stop(f"{name} names a file that cannot be read: {error.strerror}.")


KNOWN = frozenset(
    {
        "ALLOWED_HOSTS",
        "CACHE_URL",
        "CELERY_BROKER_URL",
        "CSRF_TRUSTED_ORIGINS",
        "DATABASE_URL",
        "DEBUG",
        "FIELD_ENCRYPTION_KEYS",
        "LOG_LEVEL",
        "PORT",
        "PUBLIC_URL",
        "SECRET_KEY",
        "TIME_ZONE",
        "VAPI_API_KEY",
        "VAPI_BASE_URL",
        "VAR_DIR",
    }
)
"""Every variable that settings.py reads; `.env.example` lists the same (a test holds them together)."""
