"""Several workers with the same and with tied messages: each is processed once, and Vapi decides."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from sessions_app.mirror import events
from sessions_app.models import Session, WebhookEvent
from tests.sandbox_process import SandboxProcess
from tests.webhooks.conftest import Send

pytestmark = pytest.mark.django_db(transaction=True)


def test_tied_messages_side_by_side(sandbox: SandboxProcess, send: Send) -> None:
    """Whoever is second sees the other's row, whatever the moment: no tie is left undecided."""
    rows = sandbox.truth()[:8]
    for row in rows:
        sandbox.change("sessions", row["id"], {"name": "The truth"}, touch=False)
        for name in ("One", "Other"):
            send({"type": "session.updated", "session": {**row, "name": name}})
    done: list[int] = []

    def work() -> None:
        try:
            done.append(events.process_due())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert sum(done) == WebhookEvent.objects.filter(state="processed").count() == 16
    assert set(WebhookEvent.objects.values_list("attempts", flat=True)) == {1}
    assert list(Session.objects.values_list("name", flat=True)) == ["The truth"] * 8
