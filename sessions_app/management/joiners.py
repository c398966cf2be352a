"""Processes of this machine that join a full sync. Each ends by itself when no window is left for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from sessions_app.mirror.backfill import Invite
from sessions_app.models import Organization
from sessions_app.models.runs import Stream

# A joiner is in the middle of a page at most.
_LAST_PAGE_SECONDS = 60


@contextmanager
def joiners(count: int, organization: Organization, stream: Stream) -> Iterator[Invite | None]:
    """Give what starts `count` of them, fewer where there are fewer windows, and end them afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def invite(windows: int) -> None:
        started.extend(_start(organization, stream) for _ in range(min(count, windows - 1)))

    try:
        yield invite if count else None
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(_LAST_PAGE_SECONDS)


def _start(organization: Organization, stream: Stream) -> subprocess.Popen[bytes]:
    manage = Path(settings.BASE_DIR, "manage.py")
    return subprocess.Popen(  # noqa: S603 - a command of our own
        [sys.executable, manage, "sync", "--join", "--organization", organization.slug, "--stream", stream],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # Ctrl-C reaches the one who called them, which ends them.
        process_group=0,
    )
