"""Early pytest plugin: the suite's environment, and the database that it runs on.

TEST_DATABASE is `sqlite` (without a word) or `postgresql`. PostgreSQL is at TEST_DATABASE_URL, else a server
of the suite's own. With xdist the controller prepares all this once; its workers inherit it.
Settings are not loaded yet when this runs, and nothing of a person's own `.env` reaches them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests import postgresql
from vapiadmin.environment import KNOWN

# Every variable is set, because `.env` fills what is not.
_ENVIRONMENT = {
    "ALLOWED_HOSTS": "127.0.0.1,localhost",
    "CACHE_URL": "locmemcache://",
    "CELERY_BROKER_URL": "",
    "CSRF_TRUSTED_ORIGINS": "http://127.0.0.1:8000",
    "DEBUG": "on",
    "FIELD_ENCRYPTION_KEYS": "",
    "LOG_LEVEL": "INFO",
    "PORT": "8000",
    "PUBLIC_URL": "http://127.0.0.1:8000",
    "SECRET_KEY": "",
    "TIME_ZONE": "UTC",
    "VAPI_API_KEY": "",
    # Nobody listens there: a test that forgets the sandbox fails at once.
    "VAPI_BASE_URL": "http://127.0.0.1:9",
    "VAPI_WEBHOOK_SECRET": "",
}
_VENDORS = ("sqlite", "postgresql")
_DATABASE_FIXTURES = frozenset({"db", "transactional_db"})
# A commit that need not outlive a crash of the server does not wait for the disk: a fifth of the suite's time.
_SERVER_OPTIONS = "-c synchronous_commit=off"


class Preparation:
    """What the controller made and ends."""

    def __init__(self) -> None:
        self.var = tempfile.mkdtemp(prefix="vapiadmin-tests-")
        # WhiteNoise warns where there is no folder of collected files.
        Path(self.var, "static").mkdir()
        self.server: postgresql.Server | None = None

    def database_url(self) -> str:
        if vendor() not in _VENDORS:
            raise pytest.UsageError(f"TEST_DATABASE must be one of {', '.join(_VENDORS)}.")
        if vendor() == "sqlite":
            return f"sqlite:///{self.var}/tests.sqlite3"
        if os.environ.get("TEST_DATABASE_URL"):
            return os.environ["TEST_DATABASE_URL"]
        try:
            self.server = postgresql.start()
        except postgresql.NoPostgres as error:
            raise pytest.UsageError(str(error)) from None
        return self.server.url

    def end(self) -> None:
        if self.server:
            self.server.stop()
        shutil.rmtree(self.var, ignore_errors=True)


_preparation = pytest.StashKey[Preparation]()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Prepare before pytest-django loads the settings."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    prepared = early_config.stash[_preparation] = Preparation()
    early_config.add_cleanup(prepared.end)
    for name in KNOWN:
        os.environ.pop(f"{name}_FILE", None)
    os.environ.update(_ENVIRONMENT, VAR_DIR=prepared.var, DATABASE_URL=prepared.database_url())
    os.environ.setdefault("PGOPTIONS", _SERVER_OPTIONS)
    # Makes the names of test databases differ from those of a suite that runs beside this one.
    os.environ["TEST_RUN"] = str(os.getpid())


def shared_out(count: int) -> range:
    """Return this database's half of 0 to `count` - 1: what takes long is done once by the suite, not once on each."""
    return range(_VENDORS.index(vendor()), count, len(_VENDORS))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out on PostgreSQL what touches no database: it is the same on SQLite, where it runs."""
    if vendor() == "sqlite":
        return
    left_out = [item for item in items if not _touches_database(item)]
    items[:] = [item for item in items if _touches_database(item)]
    config.hook.pytest_deselected(items=left_out)


def _touches_database(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or not _DATABASE_FIXTURES.isdisjoint(fixtures)


def vendor() -> str:
    return os.environ.get("TEST_DATABASE") or "sqlite"


def pytest_report_header() -> str:
    left_out = "" if vendor() == "sqlite" else " (what touches no database is left out: it runs on SQLite)"
    return f"database: {vendor()}{left_out}"
