"""The audit of edits: one row for each change of state, with no value in it, that nobody can change."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client

from sessions_app.edits import settle, states
from sessions_app.edits.push import push_edit
from sessions_app.models import Edit, EditTransition, Organization, Session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]


def trail_of(edit: Edit) -> list[tuple[str, int | None, str]]:
    return list(edit.transitions.values_list("state", "http_status", "note"))


def test_each_change_of_state_is_kept(sandbox: SandboxProcess, queue: Queue, editor: User) -> None:
    edit = queue(name="Zanzibar", author=editor)
    push_edit(edit.pk)

    assert trail_of(edit) == [("queued", None, ""), ("sending", None, ""), ("applied", 200, "")]
    actors = list(edit.transitions.values_list("actor", flat=True))
    assert actors[0] == "editor" and actors[1] == actors[2] != "editor"


@pytest.mark.parametrize(
    ("fault", "last"),
    [
        ("503:method=PATCH", ("queued", 503, "Unavailable server")),
        ("409:method=PATCH", ("rejected", 409, "Refused")),
        # The key is refused, not the change: the organization is paused, and the edit waits.
        ("402:method=PATCH", ("queued", 402, "Refused")),
        ("429:method=GET,retry_after=60", ("queued", 429, "Unavailable rate_limited")),
    ],
)
def test_vapis_answer_is_kept(
    sandbox: SandboxProcess, queue: Queue, fault: str, last: tuple[str, int, str]
) -> None:
    edit = queue(name="After")
    sandbox.fault(fault)
    push_edit(edit.pk)
    assert trail_of(edit)[-1] == last


def test_no_value_is_in_it(sandbox: SandboxProcess, queue: Queue) -> None:
    edit = queue(name="Zanzibar", base={"name": "Tanganyika"})
    push_edit(edit.pk)
    rows = list(EditTransition.objects.values())
    assert rows and "Zanzibar" not in str(rows) and "Tanganyika" not in str(rows)
    assert rows[0]["digests"]["name"]["new"]["length"] == 8
    assert len(rows[0]["digests"]["name"]["base"]["sha256"]) == 64


def test_a_change_that_did_not_happen_leaves_no_row(queue: Queue) -> None:
    edit = queue(name="After")
    stale = Edit.objects.get(pk=edit.pk)
    settle.withdraw(edit)
    before = EditTransition.objects.count()

    with pytest.raises(states.EditMoved):
        settle.withdraw(stale)

    assert EditTransition.objects.count() == before


def test_who_takes_an_edit_back_is_kept(queue: Queue, editor: User, viewer: User) -> None:
    edit = queue(name="After", author=editor)
    settle.withdraw(edit, viewer)
    assert list(edit.transitions.values_list("state", "actor")) == [
        ("queued", "editor"),
        ("withdrawn", "viewer"),
    ]


def test_nobody_changes_it(queue: Queue) -> None:
    row = queue(name="After").transitions.get()
    row.actor = "somebody else"
    for change in (
        row.save,
        row.delete,
        lambda: EditTransition.objects.update(actor="x"),
        lambda: EditTransition.objects.all().delete(),
    ):
        with pytest.raises(TypeError):
            change()
    statements = ["UPDATE sessions_app_edittransition SET actor = 'x'"]
    if connection.vendor == "postgresql":
        statements.append("DELETE FROM sessions_app_edittransition")
    for statement in statements:
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    row.refresh_from_db()
    assert row.actor == "command line"


def test_the_edits_page_shows_it(sandbox: SandboxProcess, queue: Queue, editor_client: Client) -> None:
    edit = queue(name="After")
    sandbox.fault("402:method=PATCH")
    push_edit(edit.pk)
    page = editor_client.get(f"/admin/sessions_app/edit/{edit.pk}/change/").text
    assert "Vapi answered 402" in page and "command line" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 3),
        ("actor=editor", 2),
        ("state=withdrawn", 1),
        ("field=status", 1),
        ("field=name&state=queued", 1),
        ("happened_at__gte=2099-01-01", 0),
    ],
)
def test_the_list_is_filtered_and_exported(
    queue: Queue, editor: User, viewer: User, admin_client: Client, query: str, found: int
) -> None:
    settle.withdraw(queue(name="After", author=editor), viewer)
    queue(status="completed", author=editor)

    page = admin_client.get(f"/admin/sessions_app/edittransition/?{query}").text
    answer: Any = admin_client.get(f"/admin/sessions_app/edittransition/export/?{query}")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    assert page.count("va-row") == len(rows) == found


def test_an_edit_of_somebody_who_was_deleted_is_not_said_to_be_the_command_lines(
    queue: Queue, editor: User, admin_client: Client
) -> None:
    edit = queue(name="After", author=editor)
    editor.delete()
    answer: Any = admin_client.get("/admin/sessions_app/edittransition/export/")
    [row] = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert (row["author"], row["actor"]) == ("a deleted person", "editor")
    assert "a deleted person" in admin_client.get(f"/admin/sessions_app/edit/{edit.pk}/change/").text
    assert admin_client.get(f"/api/v1/edits/{edit.pk}/").json()["author"] == "a deleted person"

    Edit.objects.update(source="shell")
    assert admin_client.get(f"/api/v1/edits/{edit.pk}/").json()["author"] == "command line"


def test_the_export_asks_for_the_right_to_read_it(editor_client: Client, admin_client: Client) -> None:
    path = "/admin/sessions_app/edittransition/export/"
    assert editor_client.get(path).status_code == 403
    assert admin_client.get(f"{path}?nonsense=1").status_code == 400


def test_the_request_is_kept(organization: Organization, session: Session, admin_client: Client) -> None:
    page = admin_client.get(f"/admin/sessions_app/session/{session.pk}/edit/")
    form = page.context["form"].initial
    answer = admin_client.post(
        f"/admin/sessions_app/session/{session.pk}/edit/",
        {**form, "expiration_seconds": "", "name": "After"},
        headers={"X-Request-ID": "from-the-proxy-1"},
    )
    assert answer.headers["X-Request-ID"] == "from-the-proxy-1"
    edit = Edit.objects.get()
    assert edit.request_id == edit.transitions.get().request_id == "from-the-proxy-1"


def test_an_odd_request_id_is_not_taken(admin_client: Client) -> None:
    answer = admin_client.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert len(answer.headers["X-Request-ID"]) == 32
