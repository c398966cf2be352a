"""With the write mode off, whatever is clicked, asked or run: Vapi sees GETs only."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from sessions_app import tasks
from sessions_app.models import Chat, CostLine, Edit, Organization, Session, SyncRun
from sessions_app.models.edits import EditState
from sessions_app.models.organizations import WriteMode
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def synced(organization: Organization, sandbox: SandboxProcess) -> Organization:
    organization.write_mode = WriteMode.OFF
    organization.save()
    call_command("sync", stdout=io.StringIO(), stderr=io.StringIO())
    return organization


@pytest.fixture
def browser(admin: User) -> Client:
    """A superuser's, which shows server errors as answers and does not stop at them."""
    client = Client(raise_request_exception=False)
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_every_address_asked_in_every_way(
    synced: Organization, sandbox: SandboxProcess, browser: Client
) -> None:
    edit = _correct(browser, Session.objects.earliest("created_at"))
    broken = []
    for address in _addresses(edit):
        for method in ("get", "post", "put", "patch", "delete"):
            answer = getattr(browser, method)(address, data={} if method in {"get", "post"} else b"{}")
            if answer.status_code == 500:
                broken.append(f"{method} {address}: {answer.status_code}")
        browser.force_login(User.objects.get(username="admin"), "django.contrib.auth.backends.ModelBackend")
    assert broken == []
    assert _methods(sandbox) == {"GET"}


def test_corrections_and_every_command_and_task(
    synced: Organization, sandbox: SandboxProcess, browser: Client
) -> None:
    session = Session.objects.earliest("created_at")
    edit = _correct(browser, session)
    tasks.push_edit(edit.pk)
    tasks.sweep()
    tasks.sync_all()
    tasks.sync_names()
    for command in (["push_edits"], ["sync", "--full"], ["sync"]):
        _run(*command)
    assert _methods(sandbox) == {"GET"}
    edit.refresh_from_db()
    assert edit.state == EditState.QUEUED

    # The same, once a person turned it on: so the above could have failed.
    _run("write_mode", "on", "--reason", "the test's second half")
    tasks.push_edit(edit.pk)
    assert _methods(sandbox) == {"GET", "PATCH"}
    edit.refresh_from_db()
    assert edit.state == EditState.APPLIED


def _correct(browser: Client, session: Session) -> Edit:
    """Correct a session's name over REST, as a program does."""
    address = reverse("api-session", args=[session.pk])
    shown = browser.get(address)
    changed = browser.patch(
        address, {"name": "Corrected"}, content_type="application/json", headers={"If-Match": shown["ETag"]}
    )
    assert changed.status_code == 202, changed.content
    return Edit.objects.get()


def _run(*command: str) -> None:
    try:
        call_command(*command, stdout=io.StringIO(), stderr=io.StringIO())
    except (CommandError, SystemExit):
        # How it ends is another test's business.
        return


def _methods(sandbox: SandboxProcess) -> set[str]:
    return {entry["method"] for entry in sandbox.journal()}


def _addresses(edit: Edit) -> list[str]:
    """Every address of the project, its parameters filled with what exists."""
    run, line, chat = SyncRun.objects.latest("pk"), CostLine.objects.latest("pk"), Chat.objects.latest("pk")
    subjects = {
        "sync": run.pk,
        "costline": line.pk,
        "chat": chat.pk,
        "edit": edit.pk,
        "session": edit.session_id,
    }
    # An empty form takes a person's rights away: not those of the one who asks.
    victim = User.objects.create_user("victim")
    subjects |= {"organization": edit.organization_id, "user": victim.pk}
    addresses = []
    for route in _routes(get_resolver().url_patterns):
        subject = next((pk for word, pk in subjects.items() if word in route), 1)
        addresses.append("/" + _filled(route, subject, edit))
    assert len(addresses) > 40
    # The end of the session, and files.
    return sorted(address for address in addresses if "logout" not in address and "static" not in address)


def _filled(route: str, subject: object, edit: Edit) -> str:
    parts = []
    for part in route.split("/"):
        named = {"session_id": edit.session_id, "edit_id": edit.pk}
        name = part.strip("<>").partition(":")[2]
        parts.append(str(named.get(name, subject)) if part.startswith("<") else part)
    return "/".join(parts)


def _routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, route)
        elif "(?P" not in route:
            yield route
