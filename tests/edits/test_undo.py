"""Undo: a new edit back to what was before, with the same look at what stands at Vapi."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from sessions_app.edits.push import push_edit
from sessions_app.edits.settle import undo
from sessions_app.edits.states import EditMoved
from sessions_app.models import Edit, Session
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db(transaction=True)

Queue = Callable[..., Edit]
Remote = Callable[[], Any]


def test_an_applied_edit_is_undone(
    sandbox: SandboxProcess, queue: Queue, remote: Remote, editor: User
) -> None:
    edit = queue(name="After", status="completed", expirationSeconds=3600)
    push_edit(edit.pk)
    edit.refresh_from_db()

    back = undo(edit, editor)
    assert push_edit(back.pk) == "applied"

    assert (remote()["name"], remote()["status"], remote()["expirationSeconds"]) == (
        "Before",
        "active",
        86_400,
    )
    assert (back.undoes_id, back.author, back.source) == (edit.pk, editor, "undo")


def test_what_moved_since_is_a_conflict(
    sandbox: SandboxProcess, session: Session, queue: Queue, remote: Remote
) -> None:
    edit = queue(name="After")
    push_edit(edit.pk)
    edit.refresh_from_db()
    sandbox.change("sessions", session.pk, {"name": "Theirs"})

    assert push_edit(undo(edit).pk) == "conflict"
    assert remote()["name"] == "Theirs"


def test_an_edit_is_undone_once(sandbox: SandboxProcess, queue: Queue) -> None:
    edit = queue(name="After")
    push_edit(edit.pk)
    edit.refresh_from_db()
    undo(edit)
    with pytest.raises(ValidationError, match="undone already"):
        undo(edit)


def test_an_undo_is_undone(sandbox: SandboxProcess, queue: Queue, remote: Remote) -> None:
    edit = queue(name="After")
    push_edit(edit.pk)
    edit.refresh_from_db()
    back = undo(edit)
    push_edit(back.pk)
    back.refresh_from_db()
    assert push_edit(undo(back).pk) == "applied"
    assert remote()["name"] == "After"


def test_only_what_was_applied_is_undone(queue: Queue) -> None:
    with pytest.raises(EditMoved):
        undo(queue(name="After"))
    assert Edit.objects.count() == 1


def test_a_base_that_vapi_takes_no_more_is_not_sent(sandbox: SandboxProcess, queue: Queue) -> None:
    edit = queue(status="completed", base={"status": "paused-by-hand"})
    Edit.objects.filter(pk=edit.pk).update(state="applied")
    edit.refresh_from_db()
    with pytest.raises(ValidationError):
        undo(edit)


def test_the_button(
    sandbox: SandboxProcess, queue: Queue, editor_client: Client, viewer_client: Client
) -> None:
    edit = queue(name="After")
    push_edit(edit.pk)
    path = f"/admin/sessions_app/edit/{edit.pk}/undo/"
    assert "Undo" in editor_client.get(f"/admin/sessions_app/edit/{edit.pk}/change/").text
    assert "/undo/" not in viewer_client.get(f"/admin/sessions_app/edit/{edit.pk}/change/").text
    assert viewer_client.post(path).status_code == 403
    assert editor_client.get(path).status_code == 405
    assert editor_client.post(path).status_code == 302
    back = Edit.objects.get(undoes=edit)
    assert back.fields == {"name": "Before"} and back.author_name == "editor"


def test_over_rest(
    sandbox: SandboxProcess, queue: Queue, editor_client: Client, viewer_client: Client
) -> None:
    edit = queue(name="After")
    path = f"/api/v1/edits/{edit.pk}/undo/"
    assert viewer_client.post(path).status_code == 403
    assert editor_client.post(path).status_code == 409
    push_edit(edit.pk)
    answer = editor_client.post(path)
    assert answer.status_code == 202
    assert answer.json()["undoes"] == edit.pk and answer.json()["fields"] == {"name": "Before"}
    assert editor_client.post(path).status_code == 400


def test_a_failed_edit_is_tried_again_over_rest(queue: Queue, editor_client: Client) -> None:
    edit = queue(name="After")
    path = f"/api/v1/edits/{edit.pk}/retry/"
    assert editor_client.post(path).status_code == 409
    Edit.objects.filter(pk=edit.pk).update(state="failed")
    answer = editor_client.post(path)
    assert answer.status_code == 202 and answer.json()["state"] == "queued"
    edit.refresh_from_db()
    assert (edit.state, edit.superseded_by_id) == ("superseded", answer.json()["id"])
