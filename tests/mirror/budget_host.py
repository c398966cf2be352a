"""A process of its own that asks the simulated Vapi as often as the budget lets it: PURPOSE SECONDS [SLOT_SECONDS].

Run by test_budget.py. Shares nothing with the test but the database.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta

import django


def ask(purpose: str, seconds: float) -> None:
    from sessions_app.mirror.connection import open_client  # noqa: PLC0415 - once Django is set up
    from sessions_app.models import Organization  # noqa: PLC0415 - as above
    from sessions_app.models.requests import Purpose  # noqa: PLC0415 - as above
    from sessions_app.vapi.client import Listing  # noqa: PLC0415 - as above
    from sessions_app.vapi.errors import Unavailable  # noqa: PLC0415 - as above

    with open_client(Organization.objects.get(slug="sandbox"), Purpose(purpose)) as client:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                client.list_sessions(Listing(limit=1))
            except Unavailable:
                time.sleep(0.1)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "vapiadmin.settings"
    django.setup()
    from sessions_app.mirror import budget

    if len(sys.argv) > 3:
        budget.SLOT = timedelta(seconds=float(sys.argv[3]))
    ask(sys.argv[1], float(sys.argv[2]))
