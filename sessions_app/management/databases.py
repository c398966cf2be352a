"""The address of the database that this process is at, for processes that it starts."""

from __future__ import annotations

from urllib.parse import quote

from django.db import connection


def database_url() -> str:
    """Return it as DATABASE_URL has it, with the password: pass it by environment, never on a command line."""
    own = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{own['NAME']}"
    who = _quoted(own["USER"]) + (f":{_quoted(own['PASSWORD'])}" if own["PASSWORD"] else "")
    host = str(own["HOST"] or "127.0.0.1")
    place = f"/{host}" if host.startswith("/") else f"{host}:{own['PORT'] or 5432}"
    return f"postgres://{who}@{place}/{own['NAME']}"


def _quoted(text: object) -> str:
    return quote(str(text), safe="")
