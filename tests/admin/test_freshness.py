"""Searches that ask Vapi first, open sessions that go on, banners, the first full sync, paused organizations."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from sessions_app import tasks
from sessions_app.heartbeats import PERSON
from sessions_app.mirror.sync import sync_organization
from sessions_app.models import Heartbeat, Organization, Session, SyncRun, SyncWindow, Watermark
from sessions_app.templatetags.vapiadmin import absolute
from tests.sandbox_process import Json, SandboxProcess
from tests.worker_process import WorkerProcess, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

SESSIONS = "/admin/sessions_app/session/"


@pytest.fixture(autouse=True)
def nothing_goes_on(transactional_db: None) -> Iterator[None]:
    """What nobody waited for ends before the rows go."""
    yield
    for thread in threading.enumerate():
        if thread.name == "moment":
            thread.join(30)


@pytest.fixture
def synced(sandbox: SandboxProcess, organization: Organization) -> Organization:
    """The organization after its first sync, with a worker and beat at work; the journal is empty."""
    # Otherwise the simulated Vapi's clock stands still, long ago.
    sandbox.control("POST", "clock", {"now": timezone.now().isoformat()})
    sync_organization(organization)
    sandbox.control("DELETE", "journal")
    for kind in ("worker", "beat"):
        Heartbeat.objects.create(kind=kind, seen_at=timezone.now())
    organization.refresh_from_db()
    return organization


# Presence --------------------------------------------------------------------------------------------


def test_somebody_signed_in_is_noted(viewer_client: Client) -> None:
    assert not Heartbeat.objects.filter(kind=PERSON).exists()
    viewer_client.get(SESSIONS)
    assert Heartbeat.objects.filter(kind=PERSON).exists()


def test_a_visitor_is_not(client: Client, organization: Organization) -> None:
    client.get("/admin/login/")
    client.cookies["sessionid"] = "made-up"
    client.get(SESSIONS)
    assert not Heartbeat.objects.filter(kind=PERSON).exists()


# Searches --------------------------------------------------------------------------------------------


def test_a_search_finds_what_was_created_a_moment_ago(
    sandbox: SandboxProcess, synced: Organization, viewer_client: Client
) -> None:
    created = sandbox.change("sessions", "", {"name": "Parcel of Ada"})

    start = time.monotonic()
    page = viewer_client.post(f"{SESSIONS}search/", {"search": "parcel of ada"}, follow=True)
    assert time.monotonic() - start < 2

    assert page.redirect_chain == [("../?search=parcel+of+ada", 302)]
    assert created["id"] in page.content.decode()


def test_a_customer_who_is_not_here_is_asked_of_vapi(
    sandbox: SandboxProcess, synced: Organization, viewer_client: Client
) -> None:
    long_ago = "2026-01-02T08:00:00.000Z"
    fields = {"customer": {"email": "ada@example.org"}, "createdAt": long_ago, "updatedAt": long_ago}
    created = sandbox.change("sessions", "", fields, touch=False)

    page = viewer_client.post(f"{SESSIONS}search/", {"search": "ada@example.org"}, follow=True)

    assert created["id"] in page.content.decode()


def test_what_is_here_is_not_looked_up(
    sandbox: SandboxProcess, synced: Organization, viewer_client: Client
) -> None:
    email = Session.objects.exclude(customer_email="").values_list("customer_email", flat=True)[0]
    viewer_client.post(f"{SESSIONS}search/", {"search": email})
    assert not [entry for entry in sandbox.journal() if "email=" in entry["query"]]


def test_reading_a_list_asks_nothing(
    sandbox: SandboxProcess, synced: Organization, viewer_client: Client
) -> None:
    assert viewer_client.get(f"{SESSIONS}?search=nobody@example.org").status_code == 200
    assert viewer_client.get(f"{SESSIONS}search/?search=ada").headers["Location"] == "../"
    assert sandbox.journal() == []


def test_a_slow_vapi_is_told_and_not_waited_for(
    sandbox: SandboxProcess, synced: Organization, viewer_client: Client
) -> None:
    sandbox.fault("latency:ms=6000")
    start = time.monotonic()
    page = viewer_client.post(f"{SESSIONS}search/", {"search": "ada@example.org"}, follow=True)
    assert time.monotonic() - start < 4
    sandbox.fault("")
    assert "Vapi is slow or away (Sandbox)" in page.content.decode()


def test_a_stranger_searches_nothing(
    sandbox: SandboxProcess, synced: Organization, stranger_client: Client
) -> None:
    assert stranger_client.post(f"{SESSIONS}search/", {"search": "ada"}).status_code == 403
    assert sandbox.journal() == []


def test_the_token_stays_out_of_the_address(synced: Organization, viewer: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    page = browser.get(SESSIONS).content.decode()
    found = re.search(r'formaction="([^"]+)"\s+name="csrfmiddlewaretoken"\s+value="([^"]+)"', page)
    assert found
    form = {"csrfmiddlewaretoken": found[2], "search": "ada", "status": "active", "assistant_id": ""}
    answer = browser.post(found[1], form)
    assert answer["Location"] == "../?search=ada&status=active"
    assert browser.post(found[1], {"search": "ada"}).status_code == 403


# Open sessions ---------------------------------------------------------------------------------------


@pytest.fixture
def active(sandbox: SandboxProcess, synced: Organization) -> Json:
    """An active session that is mirrored already."""
    message = {"role": "user", "content": "Is anybody there?"}
    created = sandbox.change("sessions", "", {"status": "active", "messages": [message]})
    sync_organization(synced)
    sandbox.control("DELETE", "journal")
    return created


def _follow(browser: Client, page: str) -> Json:
    action = re.search(r'hx-post="([^"]+/follow/)"', page)
    shown = re.search(r'name="shown" value="([^"]+)"', page)
    assert action and shown
    return browser.post(action[1], {"shown": shown[1], "turns": ""})


def test_new_turns_appear_on_an_open_page(
    sandbox: SandboxProcess, active: Json, viewer_client: Client
) -> None:
    page = viewer_client.get(f"{SESSIONS}{active['id']}/change/").content.decode()
    assert "every 15s [document.visibilityState === 'visible']" in page
    answer = {"role": "assistant", "content": "Yes, good morning."}
    sandbox.change("sessions", active["id"], {"messages": [*active["messages"], answer]})

    news = _follow(viewer_client, page)

    assert news.status_code == 200
    assert "Yes, good morning." in news.content.decode()
    assert 'hx-swap-oob="true"' in news.content.decode()


def test_nothing_new_swaps_nothing(sandbox: SandboxProcess, active: Json, viewer_client: Client) -> None:
    page = viewer_client.get(f"{SESSIONS}{active['id']}/change/").content.decode()
    assert sandbox.journal() == []
    assert _follow(viewer_client, page).status_code == 204
    asked = len(sandbox.journal())
    assert asked
    # Another tab, a moment later.
    assert _follow(viewer_client, page).status_code == 204
    assert len(sandbox.journal()) == asked


def test_a_completed_session_is_not_followed(
    sandbox: SandboxProcess, active: Json, viewer_client: Client
) -> None:
    page = viewer_client.get(f"{SESSIONS}{active['id']}/change/").content.decode()
    sandbox.change("sessions", active["id"], {"status": "completed"})
    news = _follow(viewer_client, page).content.decode()
    assert "/follow/" not in news
    assert viewer_client.get(f"{SESSIONS}{active['id']}/follow/").status_code == 405


# Banners ---------------------------------------------------------------------------------------------


def _banners(browser: Client) -> str:
    page = browser.get(SESSIONS).content.decode()
    return " ".join(
        re.sub(r"<[^>]+>", " ", "".join(re.findall(r"va-banner.*?</div>", page, re.DOTALL))).split()
    )


def _age(minutes: int) -> None:
    """Nothing was read for so long."""
    then = timezone.now() - timedelta(minutes=minutes)
    Watermark.objects.update(updated_at=then)
    SyncRun.objects.update(started_at=then, finished_at=then)


def test_fresh_data_have_no_banner(synced: Organization, viewer_client: Client) -> None:
    assert _banners(viewer_client) == ""


def test_old_data_say_since_when_and_that_no_worker_runs(synced: Organization, viewer_client: Client) -> None:
    _age(minutes=10)
    Heartbeat.objects.filter(kind="worker").delete()
    told = _banners(viewer_client)
    assert "Sandbox : data as of 10 min ago . No worker is running." in told


def test_old_data_say_that_vapi_is_away(
    sandbox: SandboxProcess, synced: Organization, viewer_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _age(minutes=10)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    sandbox.fault("503")
    sync_organization(synced)
    assert "The last sync failed: GET /chat: server, 503" in _banners(viewer_client)


def test_a_goal_of_its_own(synced: Organization, viewer_client: Client) -> None:
    _age(minutes=10)
    Organization.objects.update(freshness_goal_seconds=3600)
    assert _banners(viewer_client) == ""


def test_a_clock_of_vapi_that_is_behind_makes_nothing_old(
    synced: Organization, viewer_client: Client
) -> None:
    Watermark.objects.update(updated_at=timezone.now() - timedelta(minutes=10))
    assert _banners(viewer_client) == ""


# Paused organizations --------------------------------------------------------------------------------


@pytest.fixture
def paused(synced: Organization) -> Organization:
    synced.paused_at, synced.paused_reason = timezone.now(), "Vapi refused the API key (401)."
    synced.save(update_fields=["paused_at", "paused_reason"])
    return synced


def test_a_paused_organization_is_told_on_every_page(
    paused: Organization, viewer_client: Client, admin_client: Client
) -> None:
    assert "Sandbox is paused. Vapi refused the API key (401)." in _banners(viewer_client)
    assert "Test the key" not in _banners(viewer_client)
    for page in (SESSIONS, "/admin/sessions_app/edit/", "/admin/freshness/"):
        assert "Test the key and go on" in admin_client.get(page).content.decode()


def test_it_is_taken_up_again_after_a_test(
    sandbox: SandboxProcess, paused: Organization, administrator: User, sign_in: Callable[[User], Client]
) -> None:
    browser, address = sign_in(administrator), f"/admin/freshness/{paused.pk}/take-up/"
    sandbox.fault("401")
    assert "stays paused" in browser.post(address, follow=True).content.decode()
    assert not Organization.objects.reachable().exists()

    sandbox.fault("")
    assert "Vapi takes the key of Sandbox" in browser.post(address, follow=True).content.decode()
    assert Organization.objects.reachable().exists()
    assert [(entry["path"], entry["status"]) for entry in sandbox.journal()] == [
        ("/session", 401),
        ("/session", 200),
    ]


def test_only_who_may_change_organizations_takes_it_up(
    sandbox: SandboxProcess, paused: Organization, ops_client: Client, admin_client: Client
) -> None:
    address = f"/admin/freshness/{paused.pk}/take-up/"
    assert ops_client.post(address).status_code == 403
    assert admin_client.get(address).status_code == 405
    assert sandbox.journal() == []


def _save_key(browser: Client, organization: Organization, key: str) -> None:
    form = {"name": organization.name, "base_url": organization.base_url, "api_key": key, "is_active": "on"}
    form["freshness_goal_seconds"] = "300"
    page = browser.post(f"/admin/sessions_app/organization/{organization.pk}/change/", form)
    assert page.status_code == 302, page.content.decode()


def test_a_new_key_ends_the_pause(
    sandbox: SandboxProcess,
    paused: Organization,
    admin_client: Client,
    start_worker: Callable[[], WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Organization.objects.update(api_key="a-key-of-yesterday")
    worker = start_worker()
    asked: list[object] = []
    monkeypatch.setattr(tasks, "send_now", lambda task, *args: asked.append((task.name, *args)))

    _save_key(admin_client, paused, sandbox.key)

    assert asked == [("sessions_app.tasks.take_up", paused.pk)]
    worker.send("take_up", paused.pk)
    wait_until(lambda: Organization.objects.reachable().exists())


def test_a_form_saved_without_a_key_tests_nothing(
    paused: Organization, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(tasks, "send_now", lambda *args: asked.append(args))
    _save_key(admin_client, paused, "")
    assert asked == []
    assert Organization.objects.get().api_key == paused.api_key


def test_sessions_come_in_as_soon_as_a_key_is_saved(
    sandbox: SandboxProcess,
    organization: Organization,
    admin_client: Client,
    start_worker: Callable[[], WorkerProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Organization.objects.update(api_key="")
    worker = start_worker()
    wait_until(lambda: Heartbeat.objects.filter(kind="worker").exists())
    monkeypatch.setattr(
        tasks, "send_now", lambda task, *args: worker.send(task.name.rpartition(".")[2], *args)
    )
    # How soon: `manage.py bench fresh`.
    _save_key(admin_client, organization, sandbox.key)
    wait_until(Session.objects.exists)


# The first full sync ---------------------------------------------------------------------------------


def test_the_first_sync_tells_how_far_it_is(
    organization: Organization, viewer_client: Client, stranger_client: Client
) -> None:
    now = timezone.now()
    Heartbeat.objects.create(kind="worker", seen_at=now)
    SyncRun.objects.create(
        organization=organization,
        stream="sessions",
        kind="backfill",
        seen=2000,
        total=12000,
        started_at=now - timedelta(seconds=100),
    )
    edges = [None, now - timedelta(days=20), now - timedelta(days=10), None]
    for number, (start, end) in enumerate(pairwise(edges)):
        SyncWindow.objects.create(
            organization=organization,
            stream="sessions",
            starts_at=start,
            ends_at=end,
            seen=2000 if number == 2 else 0,
            finished_at=now if number == 2 else None,
        )

    page = " ".join(viewer_client.get("/admin/freshness/").content.decode().split())

    assert "about 12,000" in page
    assert "20/s" in page
    assert "8 min 2" in page  # 10,000 rows left
    assert f"everything since {absolute(edges[2])}" in page
    assert 'hx-trigger="every 3s"' in page
    assert "The first full sync is under way." in page
    assert stranger_client.get("/admin/freshness/").status_code == 403
