"""Every read of a face starts from `.visible_to(who)`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from sessions_app.models.scopes import ScopedQuerySet

FACES = ("admin", "api", "webhooks")
MANAGERS = {"objects", "_default_manager", "_base_manager"}


class Read(NamedTuple):
    path: str
    scope: str
    model: str


ALLOWED = {
    Read(
        "admin/organization_form.py", "_place", "Organization"
    ): "asks only whether this database is a demo's",
    Read("admin/people.py", "formfield_for_manytomany", "Group"): "groups belong to no organization",
    Read("admin/people.py", "formfield_for_manytomany", "Permission"): "rights belong to no organization",
    Read("admin/people.py", "_rights_beyond", "Permission"): "rights belong to no organization",
    Read("admin/people.py", "_rights_of", "Permission"): "rights belong to no organization",
    Read("admin/sessions.py", "payload_view", "SessionPayload"): "of a session that _session() found visible",
    Read("api/authentication.py", "authenticate", "ApiToken"): "finds out who asks; nobody is known yet",
    Read("api/authentication.py", "_note_use", "ApiToken"): "writes when the asking token itself was used",
    Read("api/edits.py", "present_edit", "Edit"): "an edit that the view has found visible or made itself",
    Read("api/etags.py", "etag_of", "Edit"): "of a session that is visible; goes into its ETag only",
    Read("admin/audit.py", "_actors", "get_user_model()"): "people belong to no organization",
    Read("admin/edits.py", "_people", "get_user_model()"): "people belong to no organization",
    Read(
        "admin/coverage.py", "_neighbour", "Coverage"
    ): "of the organization of a day that was found visible",
    Read("admin/coverage.py", "_of", "model"): "of organizations that were found visible",
    Read("admin/coverage.py", "_read_streams", "Coverage"): "of organizations that were found visible",
    Read("admin/erasing.py", "", "Organization"): "none; the form's choices are set to the visible ones",
    Read("admin/holds.py", "", "Organization"): "none; the form's choices are set to the visible ones",
    Read("admin/freshness.py", "_read_progress", "SyncRun"): "of an organization that was found visible",
    Read("admin/freshness.py", "_read_progress", "SyncWindow"): "of an organization that was found visible",
    Read("admin/freshness.py", "_read_progress", "Watermark"): "of an organization that was found visible",
    Read("admin/notices.py", "", "Organization"): "none; the form's choices are set to the visible ones",
    Read("admin/requests.py", "_figures", "RequestTally"): "of organizations that were found visible",
    Read("admin/session_actions.py", "_is_known", "Edit"): "asks only whether this form was sent before",
    Read("admin/session_edit.py", "stand_on_now", "Edit"): "asks only whether this form was sent before",
    Read("admin/staleness.py", "_complete_as_of", "Watermark"): "of organizations that were found visible",
    Read("admin/staleness.py", "_latest_runs", "SyncRun"): "of organizations that were found visible",
    Read("admin/webhook_arrivals.py", "_count", "WebhookEvent"): "of organizations that were found visible",
    Read("admin/webhook_arrivals.py", "_deaf_organizations", "WebhookSecret"): "joined to visible ones",
    Read("admin/webhook_arrivals.py", "_listening", "WebhookSecret"): "looked up for visible ones only",
    Read("admin/webhook_secrets.py", "_add", "WebhookSecret"): "writes, to an organization found visible",
    Read("admin/webhook_secrets.py", "retire_view", "WebhookSecret"): "writes, to a secret found visible",
    Read("api/metrics.py", "_organizations", "Organization"): "all for loopback, which has no account",
    Read("api/metrics.py", "_ages", "SyncRun"): "of the organizations that _organizations() gave",
    Read("api/metrics.py", "_ages", "Watermark"): "of the organizations that _organizations() gave",
    Read("api/metrics.py", "_queues", "Edit"): "of the organizations that _organizations() gave",
    Read("api/metrics.py", "_queues", "SyncWindow"): "of the organizations that _organizations() gave",
    Read("api/metrics.py", "_queues", "WebhookEvent"): "of the organizations that _organizations() gave",
    Read("api/metrics.py", "_requests", "RequestTally"): "of the organizations that _organizations() gave",
    Read("api/metrics.py", "_read", "Heartbeat"): "processes belong to no organization",
    Read("api/sessions.py", "newest_edit", "Edit"): "of a session that is visible; goes into its ETag only",
}


def test_faces_read_nothing_unscoped() -> None:
    folder = Path(settings.BASE_DIR) / "sessions_app"
    found = {
        read
        for face in FACES
        for path in folder.glob(f"{face}/**/*.py")
        for read in _unscoped(path, str(path.relative_to(folder)))
    }
    assert found == set(ALLOWED), "new ones need .visible_to(who), gone ones must leave the list"


def test_the_scan_sees_what_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "face.py").write_text(
        "def good():\n    return Session.objects.visible_to(who).filter(pk=1)\n"
        "class View:\n    rows = Chat.objects\n"
        "    def bad(self):\n        return Session.objects.filter(pk=1)\n"
    )
    assert set(_unscoped(tmp_path / "face.py", "face.py")) == {Read("face.py", "bad", "Session")}


def _unscoped(path: Path, name: str) -> Iterator[Read]:
    """Uses of a manager that are not followed by visible_to().

    A class attribute `rows = Model.objects` is a list of RestList, which calls `self.rows.visible_to()`.
    """
    tree = ast.parse(path.read_text())
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or node.attr not in MANAGERS:
            continue
        parent = parents[node]
        scoped = isinstance(parent, ast.Attribute) and parent.attr == "visible_to"
        if not scoped and not _is_rows(parent, parents):
            yield Read(name, _scope(node, parents), ast.unparse(node.value))


def _is_rows(parent: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    return (
        isinstance(parent, ast.Assign)
        and ast.unparse(parent.targets[0]) == "rows"
        and isinstance(parents[parent], ast.ClassDef)
    )


def _scope(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> str:
    while not isinstance(node, ast.FunctionDef | ast.Module):
        node = parents[node]
    return node.name if isinstance(node, ast.FunctionDef) else ""


def _scoped_admins() -> list[admin.ModelAdmin[Any]]:
    return [
        face
        for model, face in admin.site._registry.items()
        if isinstance(model._default_manager.all(), ScopedQuerySet)
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("face", _scoped_admins(), ids=lambda face: face.model.__name__)
def test_admin_shows_nothing_to_whom_nothing_is_visible(
    face: admin.ModelAdmin[Any], rf: RequestFactory
) -> None:
    request = rf.get("/")
    # Nothing is visible to a person who was locked out, whatever permissions they have.
    request.user = User(username="gone", is_active=False, is_staff=True, is_superuser=True)
    assert face.get_queryset(request).query.is_empty()


def test_admin_has_scoped_models() -> None:
    assert len(_scoped_admins()) >= 6
