"""What is new at Vapi while a person waits: by rows, and by what reached the simulated Vapi."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from sessions_app import tasks
from sessions_app.heartbeats import PERSON
from sessions_app.mirror.connection import Paused, open_client
from sessions_app.mirror.freshness import (
    look_up,
    questions_for,
    read_again,
    read_newest,
    sweep_head,
    top_up,
)
from sessions_app.mirror.pauses import take_up_again
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Chat, Heartbeat, Lookup, Organization, Session, SyncRun, Watermark
from sessions_app.models.requests import Purpose
from sessions_app.vapi.client import Listing
from sessions_app.vapi.errors import Refused, Unavailable
from tests.sandbox_process import SandboxProcess
from tests.worker_process import WorkerProcess, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

# Nothing that a sweep from the newest row would come across.
LONG_AGO = "2026-01-02T08:00:00.000Z"


@pytest.fixture(autouse=True)
def nothing_goes_on(transactional_db: None) -> Iterator[None]:
    """What nobody waited for ends before the rows go."""
    yield
    for thread in threading.enumerate():
        if thread.name == "moment":
            thread.join(30)


@pytest.fixture
def synced(sandbox: SandboxProcess, organization: Organization) -> Organization:
    """The organization after its first sync; the journal is empty."""
    sync_organization(organization)
    sandbox.control("DELETE", "journal")
    organization.refresh_from_db()
    return organization


def _asked(sandbox: SandboxProcess) -> list[tuple[str, str]]:
    return [(entry["path"], entry["query"]) for entry in sandbox.journal()]


# The newest rows -------------------------------------------------------------------------------------


def test_a_sweep_brings_what_was_created_since_the_newest_row(
    sandbox: SandboxProcess, synced: Organization
) -> None:
    session = sandbox.change("sessions", "", {"name": "brand new"})
    chat = sandbox.change("chats", "", {"sessionId": session["id"]})

    assert sweep_head(synced) == 2

    assert Session.objects.get(pk=session["id"]).name == "brand new"
    assert Chat.objects.get(pk=chat["id"]).session_id == session["id"]


def test_a_sweep_without_news_is_two_requests(sandbox: SandboxProcess, synced: Organization) -> None:
    newest = Session.objects.order_by("-created_at").first()
    assert newest is not None

    assert sweep_head(synced) == 0

    (first, query), (second, _) = _asked(sandbox)
    assert (first, second) == ("/session", "/chat")
    asked = parse_qs(query)
    assert asked["createdAtGe"][0].startswith(newest.created_at.strftime("%Y-%m-%dT%H:%M:%S"))
    assert asked["sortOrder"] == ["ASC"]


def test_whoever_sweeps_does_it_for_all(sandbox: SandboxProcess, synced: Organization) -> None:
    sweep_head(synced)
    before = len(sandbox.journal())
    sandbox.change("sessions", "", {"name": "a moment later"})

    assert sweep_head(synced) == 0
    assert len(sandbox.journal()) == before

    Watermark.objects.update(swept_at=timezone.now() - timedelta(seconds=13))
    assert sweep_head(synced) == 1


def test_nothing_is_swept_before_the_first_sync(sandbox: SandboxProcess, organization: Organization) -> None:
    assert sweep_head(organization) == 0
    assert sandbox.journal() == []


def test_a_row_of_the_far_future_hides_no_new_ones(sandbox: SandboxProcess, synced: Organization) -> None:
    future = (timezone.now() + timedelta(days=400)).isoformat()
    sandbox.change("sessions", "", {"createdAt": future})
    assert sweep_head(synced) == 1
    Watermark.objects.update(swept_at=None)
    created = sandbox.change("sessions", "", {"name": "brand new"})

    assert sweep_head(synced) == 1

    assert Session.objects.filter(pk=created["id"]).exists()


def test_a_sweep_moves_no_watermark(sandbox: SandboxProcess, synced: Organization) -> None:
    before = list(Watermark.objects.order_by("stream").values_list("stream", "updated_at"))
    sandbox.change("sessions", "", {"name": "brand new"})
    sweep_head(synced)
    assert list(Watermark.objects.order_by("stream").values_list("stream", "updated_at")) == before


def test_beat_sweeps_only_while_somebody_is_signed_in(
    sandbox: SandboxProcess, synced: Organization, start_worker: Callable[[], WorkerProcess]
) -> None:
    created = sandbox.change("sessions", "", {"name": "brand new"})
    worker = start_worker()

    worker.send("sweep_heads")
    time.sleep(3)
    assert sandbox.journal() == []

    Heartbeat.objects.create(kind=PERSON, seen_at=timezone.now())
    worker.send("sweep_heads")
    wait_until(lambda: Session.objects.filter(pk=created["id"]).exists())


def test_a_search_waits_two_seconds_at_most(sandbox: SandboxProcess, synced: Organization) -> None:
    sandbox.fault("latency:ms=3500")
    created = sandbox.change("sessions", "", {"name": "brand new"})

    start = time.monotonic()
    assert top_up([synced]) == [synced]
    assert 1.8 < time.monotonic() - start < 2.6
    # Whoever searches meanwhile does not wait for the same again.
    start = time.monotonic()
    assert top_up([synced]) == [synced]
    assert time.monotonic() - start < 0.5

    # What was asked for comes in all the same.
    sandbox.fault("")
    wait_until(lambda: Session.objects.filter(pk=created["id"]).exists())
    wait_until(lambda: top_up([synced]) == [])


def test_a_session_of_ten_seconds_ago_is_found_within_two(
    sandbox: SandboxProcess, synced: Organization
) -> None:
    created = sandbox.change("sessions", "", {"name": "Ten seconds old"})
    start = time.monotonic()
    assert top_up([synced]) == []
    assert Session.objects.filter(pk=created["id"]).exists()
    assert time.monotonic() - start < 2


def test_the_newest_sessions_are_here_before_any_sync(
    start_sandbox: Callable[..., SandboxProcess], organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = start_sandbox(sessions=150)
    Organization.objects.update(base_url=sandbox.url)
    enqueued: list[object] = []
    monkeypatch.setattr(tasks, "send_now", lambda task, *args: enqueued.append(args))

    tasks.take_up(organization.pk)

    newest_first = sorted(sandbox.truth("sessions"), key=lambda row: str(row["createdAt"]), reverse=True)
    assert set(Session.objects.values_list("id", flat=True)) == {row["id"] for row in newest_first[:100]}
    assert enqueued == [(organization.pk, stream) for stream in ("sessions", "chats", "names")]
    assert Organization.objects.get().vapi_org_id == newest_first[0]["orgId"]


def test_the_newest_sessions_are_asked_for_only_where_none_is_here(
    sandbox: SandboxProcess, synced: Organization
) -> None:
    assert read_newest(synced) == 0
    assert _asked(sandbox) == []


# What a person looks for -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parameter"),
    [
        ("+49 (151) 555-0199", "number"),
        ("new.person@example.org", "email"),
        ("CRM-2026-77", "externalId"),
        ("5a3c9c9e-7d52-4d06-9a5f-0c86f3d64fd1", "idAny"),
    ],
)
def test_what_is_not_here_is_asked_of_vapis_own_filter(
    sandbox: SandboxProcess, synced: Organization, text: str, parameter: str
) -> None:
    customer = {"number": "+491515550199", "email": "new.person@example.org", "externalId": "CRM-2026-77"}
    created = sandbox.change(
        "sessions",
        "5a3c9c9e-7d52-4d06-9a5f-0c86f3d64fd1",
        {"createdAt": LONG_AGO, "updatedAt": LONG_AGO, "customer": customer},
        touch=False,
    )

    assert look_up([synced], text) == []

    assert Session.objects.filter(pk=created["id"]).exists()
    assert parameter in parse_qs(_asked(sandbox)[0][1])
    assert Lookup.objects.get().was_found


def test_a_miss_is_remembered_without_clear_text(sandbox: SandboxProcess, synced: Organization) -> None:
    look_up([synced], "nobody@example.org")
    asked = len(sandbox.journal())
    look_up([synced], "nobody@example.org")
    assert len(sandbox.journal()) == asked == 1
    assert "nobody" not in str(Lookup.objects.values().get())

    Lookup.objects.update(asked_at=timezone.now() - timedelta(seconds=31))
    look_up([synced], "nobody@example.org")
    assert len(sandbox.journal()) == 2


def test_no_answer_is_no_miss(sandbox: SandboxProcess, synced: Organization) -> None:
    sandbox.fault("500:path=/session")
    assert look_up([synced], "nobody@example.org") == [synced]
    sandbox.fault("")
    wait_until(lambda: look_up([synced], "nobody@example.org") == [], 20)
    assert sandbox.journal()[-1]["status"] == 200


@pytest.mark.parametrize("text", ["refund", "two words", "", "49", "+49 15", "a@b", "my order 66"])
def test_words_and_parts_are_not_asked(text: str) -> None:
    assert questions_for(text) == []


# The session that is open ----------------------------------------------------------------------------


def test_an_open_session_is_read_again_once_for_all(sandbox: SandboxProcess, synced: Organization) -> None:
    session = Session.objects.select_related("organization").first()
    assert session is not None
    sandbox.change("sessions", session.pk, {"name": "went on"})

    assert read_again(session)
    asked = len(sandbox.journal())
    assert asked
    assert read_again(session)
    assert len(sandbox.journal()) == asked
    session.refresh_from_db()
    assert session.name == "went on"


# Refused keys ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_pauses_its_organization_alone(
    sandbox: SandboxProcess, synced: Organization, other_organization: Organization, status: int
) -> None:
    sandbox.fault(f"{status}:key={sandbox.key}")

    runs = sync_organization(synced)
    others = sync_organization(other_organization)

    synced.refresh_from_db()
    assert synced.paused_at is not None
    assert str(status) in synced.paused_reason
    assert {run.state for run in runs} == {"failed"}
    assert {run.state for run in others} == {"succeeded"}


def test_nothing_is_asked_for_a_paused_organization(
    sandbox: SandboxProcess, synced: Organization, start_worker: Callable[[], WorkerProcess]
) -> None:
    Organization.objects.update(paused_at=timezone.now(), paused_reason="Vapi refused the API key (401).")
    synced.refresh_from_db()
    Heartbeat.objects.create(kind=PERSON, seen_at=timezone.now())
    runs = SyncRun.objects.count()

    with pytest.raises(Paused):
        open_client(synced, Purpose.PERSON)
    assert top_up([synced]) == [synced]
    worker = start_worker()
    for task in ("sweep_heads", "sync_all"):
        worker.send(task)
    time.sleep(3)

    assert sandbox.journal() == []
    assert SyncRun.objects.count() == runs


def test_a_key_that_works_ends_the_pause(sandbox: SandboxProcess, synced: Organization) -> None:
    sandbox.fault(f"401:key={sandbox.key}")
    sync_organization(synced)
    synced.refresh_from_db()
    with pytest.raises(Refused):
        take_up_again(synced)
    assert Organization.objects.reachable().count() == 0

    sandbox.fault("")
    take_up_again(synced)
    assert Organization.objects.reachable().get() == synced


def test_an_old_keys_refusal_does_not_pause_the_new_one(
    sandbox: SandboxProcess, synced: Organization
) -> None:
    old = Organization.objects.get(pk=synced.pk)
    old.api_key = "the-key-before"
    sync_organization(old)
    synced.refresh_from_db()
    assert synced.paused_at is None
    assert sandbox.journal()[-1]["status"] == 401


def test_trouble_at_vapi_pauses_nobody(sandbox: SandboxProcess, synced: Organization) -> None:
    sandbox.fault("503:count=2")
    with open_client(synced, Purpose.PERSON) as client:
        client.list_sessions(Listing(limit=1))
    sandbox.fault("503")
    with pytest.raises(Unavailable):
        sweep_head(synced)
    synced.refresh_from_db()
    assert synced.paused_at is None
