"""Reads the process environment for settings.py: `.env`, `NAME_FILE`, and keys made on first use."""

from __future__ import annotations

import os
import secrets
import sys
import warnings
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

USAGE_ERROR = 2
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


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


def port_number(env: environ.Env, name: str, default: int) -> int:
    text = env.str(name, str(default)).strip()
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        stop(f"{name} must be a number from 1 to 65535.")
    return int(text)


def web_address(env: environ.Env, name: str, default: str) -> str:
    """Return an http or https address without a slash at its end."""
    address: str = env.str(name, default).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        stop(f"{name} must be an address such as {default}.")
    return address


def host_names(env: environ.Env, name: str) -> list[str]:
    """Return the names of a comma list, in lower case."""
    return [host.strip().lower() for host in env.list(name, default=[]) if host.strip()]


def time_zone(env: environ.Env, name: str, default: str) -> str:
    zone: str = env.str(name, default)
    if zone not in zoneinfo.available_timezones():
        stop(f"{name} must be the name of a time zone such as UTC or Europe/Berlin.")
    return zone


def log_level(env: environ.Env, name: str, default: str) -> str:
    level: str = env.str(name, default).upper()
    if level not in _LOG_LEVELS:
        stop(f"{name} must be one of {', '.join(_LOG_LEVELS)}.")
    return level


def encryption_keys(text: str) -> list[str]:
    """Return the keys of a comma list; the first one writes, all of them read."""
    keys = [key.strip() for key in text.split(",") if key.strip()]
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = []
    return keys or stop(
        "FIELD_ENCRYPTION_KEYS must be keys of 32 bytes in URL-safe base64, separated by commas."
    )


def database(env: environ.Env, url: str) -> dict[str, Any]:
    """Return Django's settings of the database at `url`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: dict[str, Any] = env.db_url_config(url)
    except (ImproperlyConfigured, ValueError, KeyError):
        found = {}
    if found.get("ENGINE") not in {"django.db.backends.sqlite3", "django.db.backends.postgresql"}:
        stop("DATABASE_URL must be like postgres://user:password@host/name or sqlite:////path/file.")
    return found


def mail_server(env: environ.Env, name: str) -> dict[str, Any]:
    """Return Django's settings of the mail server at an address, or of none where there is no address."""
    try:
        found: dict[str, Any] = env.email_url_config(env.str(name, "") or "dummymail://")
    except (ImproperlyConfigured, ValueError):
        found = {}
    wants_host = str(found.get("EMAIL_BACKEND", "")).endswith("smtp.EmailBackend")
    if not found or (wants_host and not found.get("EMAIL_HOST")):
        stop(f"{name} must be like smtp+tls://user:password@host:587, smtp+ssl://... or smtp://host:25.")
    return found


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
        "EMAIL_FROM",
        "EMAIL_URL",
        "FIELD_ENCRYPTION_KEYS",
        "LOG_LEVEL",
        "NOTICE_PRIVATE_HOSTS",
        "PORT",
        "PUBLIC_URL",
        "SECRET_KEY",
        "TIME_ZONE",
        "VAPI_API_KEY",
        "VAPI_BASE_URL",
        "VAPI_WEBHOOK_SECRET",
        "VAR_DIR",
    }
)
"""Every variable that settings.py reads; `.env.example` lists the same (a test holds them together)."""
