"""Owns the words for what figures were taken on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from django.db import connection
from django.utils import timezone


def machine() -> str:
    """What figures were taken on, in one line."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        version = cursor.fetchone()[0]
    return (
        f"{os.cpu_count()} x {_processor()}, Python {platform.python_version()}, "
        f"{connection.display_name} {version}, {timezone.now():%Y-%m-%d}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
