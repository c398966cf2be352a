"""The form that corrects a session: what it shows, what it carries as its base, and what it would send.

Saving queues an edit and says "look now" to a worker; nothing is sent to Vapi from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote as quote_path
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from sessions_app import tasks
from sessions_app.admin.changes import FIELD_LABELS, in_words
from sessions_app.admin.pretty import pretty_json
from sessions_app.customers.present import present_customer
from sessions_app.edits.queue import queue_edit, shown_values
from sessions_app.edits.validation import LONGEST_NAME, MOST_SECONDS, STATUSES, check_changes
from sessions_app.edits.values import differing
from sessions_app.models import Edit, Organization, Session
from sessions_app.vapi.payloads import DEFAULT_EXPIRATION_SECONDS

_SALT = "sessions_app.admin.session_edit.base"
_FORM_FIELDS = {"name": "name", "status": "status", "expirationSeconds": "expiration_seconds"}
_EXTENSIONS = (
    ("", "as typed"),
    ("3600", "1 hour longer"),
    ("86400", "1 day longer"),
    ("604800", "7 days longer"),
    ("max", "30 days, the most"),
)


class SecondsField(forms.IntegerField):
    """Whole numbers as they stand: Django would take 90.000, which many write for ninety thousand, for 90."""

    re_decimal = re.compile(r"(?!)")


class SessionForm(forms.Form):
    """Name, status and lifetime. Vapi's own rules are checked when the edit is queued, by `check_changes`."""

    name = forms.CharField(required=False, strip=False, max_length=1000)
    status = forms.ChoiceField(required=False)
    expiration_seconds = SecondsField(
        required=False, error_messages={"invalid": "Enter a whole number of seconds."}
    )
    extend = forms.ChoiceField(required=False, choices=_EXTENSIONS)
    reason = forms.CharField(required=False, max_length=2000)
    base = forms.CharField(widget=forms.HiddenInput)
    submission_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, session: Session, shown: dict[str, object], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session, self.shown = session, shown
        odd = str(shown.get("status") or "")
        words = [*STATUSES] if odd in STATUSES else [odd, *STATUSES]
        status = self.fields["status"]
        assert isinstance(status, forms.ChoiceField)  # noqa: S101 - for the type checker
        status.choices = [(word, word or "no status") for word in words]

    def clean_base(self) -> dict[str, object]:
        """Return the values that the person was shown; only this server can have signed them."""
        try:
            carried: dict[str, Any] = signing.loads(self.cleaned_data["base"], salt=_SALT)
        except signing.BadSignature:
            raise ValidationError("This form is not complete. Load the page again.") from None
        if carried.get("session") != self.session.pk:
            raise ValidationError("This form belongs to another session. Load the page again.")
        values: dict[str, object] = carried["values"]
        return values

    def wanted(self) -> dict[str, object]:
        """Return what was asked for, by Vapi's field names."""
        cleaned = self.cleaned_data
        seconds = cleaned.get("expiration_seconds")
        extend = cleaned.get("extend")
        if extend == "max":
            seconds = MOST_SECONDS
        elif extend:
            seconds = (DEFAULT_EXPIRATION_SECONDS if seconds is None else seconds) + int(extend)
        return {
            "name": cleaned.get("name", ""),
            "status": cleaned.get("status", ""),
            "expirationSeconds": seconds,
        }

    def add_problems(self, error: ValidationError) -> None:
        """Show what the queue found wrong beside the fields of this form."""
        if not hasattr(error, "error_dict"):
            self.add_error(None, error)
            return
        for field, problems in error.error_dict.items():
            self.add_error(_FORM_FIELDS.get(field), problems)


@dataclass(frozen=True)
class Preview:
    """The exact request that saving would lead to, and what would come of it."""

    organization: Organization
    session: Session
    changes: dict[str, object]
    problem: str = ""

    @property
    def url(self) -> str:
        return f"{self.organization.base_url.rstrip('/')}/session/{quote_path(self.session.pk, safe='')}"

    @property
    def body(self) -> str:
        return pretty_json(self.changes)

    @property
    def new_expiry(self) -> datetime | None:
        seconds = self.changes.get("expirationSeconds")
        return self.session.created_at + timedelta(seconds=seconds) if isinstance(seconds, int) else None

    @property
    def new_idle_expiry(self) -> datetime | None:
        seconds = self.changes.get("expirationSeconds")
        return self.session.updated_at + timedelta(seconds=seconds) if isinstance(seconds, int) else None


def edit_session_view(site_context: dict[str, Any], request: HttpRequest, session: Session) -> HttpResponse:
    """Show the form; answer a preview of it; queue the edit. Permission was checked by the caller."""
    shown = shown_values(session)
    form = _form(request, session, shown)
    if request.method == "POST" and "preview" in request.POST:
        return TemplateResponse(request, "admin/sessions/preview.html", {"preview": preview_changes(form)})
    stale = stand_on_now(form) if request.method == "POST" and form.is_valid() else ()
    if request.method == "POST" and not stale and form.is_valid() and _queue(request, form):
        return redirect("admin:sessions_app_session_change", quote(session.pk))
    context = {
        **site_context,
        "form": form,
        "session": session,
        "customer": present_customer(session),
        "shown": shown,
        "has_pending": shown != _mirrored(session),
        "preview": preview_changes(form),
        "longest_name": LONGEST_NAME,
        "stale": stale,
    }
    return TemplateResponse(request, "admin/sessions/edit.html", context)


@dataclass(frozen=True)
class StaleField:
    """A field that somebody else changed while the page was open."""

    label: str
    base: str
    now: str
    mine: str


def stand_on_now(form: SessionForm) -> tuple[StaleField, ...]:
    """Return what a stale page would have overwritten, and let the form stand on what is shown now.

    Fields that the person did not touch take their new values; a form that was sent before is never stale.
    """
    if Edit.objects.filter(submission_key=form.cleaned_data["submission_key"]).exists():
        return ()
    base, shown, wanted = form.cleaned_data["base"], form.shown, form.wanted()
    touched = differing(wanted, base, wanted)
    moved = [field for field in differing(base, shown, touched) if differing(wanted, shown, [field])]
    if not moved:
        return ()
    found = tuple(
        StaleField(
            FIELD_LABELS[field],
            in_words(field, base.get(field)),
            in_words(field, shown.get(field)),
            in_words(field, wanted.get(field)),
        )
        for field in moved
    )
    data = {name: form.data.get(name, "") for name in form.fields}
    for field in set(shown) - set(touched):
        value = shown[field]
        data[_FORM_FIELDS[field]] = "" if value is None else str(value)
    form.data = {**data, "base": signing.dumps({"session": form.session.pk, "values": shown}, salt=_SALT)}
    return found


def preview_changes(form: SessionForm) -> Preview:
    session = form.session
    if not form.is_bound:
        return Preview(session.organization, session, {})
    if not form.is_valid() and "base" not in form.cleaned_data:
        return Preview(session.organization, session, {}, "Load the page again.")
    # A value that was refused is no longer among those asked for: what is left of them would say something else.
    refused = [problem for name in _FORM_FIELDS.values() for problem in form.errors.get(name, ())]
    if refused:
        return Preview(session.organization, session, {}, " ".join(map(str, refused)))
    try:
        changes = check_changes(form.cleaned_data["base"], form.wanted())
    except ValidationError as error:
        problem = "" if getattr(error, "code", "") == "unchanged" else " ".join(error.messages)
        return Preview(session.organization, session, {}, problem)
    return Preview(session.organization, session, changes)


def _form(request: HttpRequest, session: Session, shown: dict[str, object]) -> SessionForm:
    if request.method == "POST":
        return SessionForm(request.POST, session=session, shown=shown)
    initial = {
        "name": shown["name"],
        "status": shown["status"],
        "expiration_seconds": shown["expirationSeconds"],
        "base": signing.dumps({"session": session.pk, "values": shown}, salt=_SALT),
        "submission_key": uuid4(),
    }
    return SessionForm(initial=initial, session=session, shown=shown)


def _queue(request: HttpRequest, form: SessionForm) -> bool:
    """Queue the edit; False, with the form saying why, where it cannot be."""
    try:
        edit = queue_edit(
            session=form.session,
            base=form.cleaned_data["base"],
            fields=form.wanted(),
            reason=form.cleaned_data["reason"],
            author=request.user,  # type: ignore[arg-type]  # whoever passed the permission check has signed in
            source="admin",
            submission_key=form.cleaned_data["submission_key"],
        )
    except ValidationError as error:
        form.add_problems(error)
        return False
    transaction.on_commit(partial(tasks.enqueue, tasks.push_edit, edit.pk))
    messages.success(request, _queued_words(form.session.organization))
    return True


def _queued_words(organization: Organization) -> str:
    if organization.write_mode == "on":
        return "Saved. The change is on its way to Vapi; its state is shown beside the conversation."
    if organization.write_mode == "paused":
        return "Saved. It waits: writing to Vapi is paused."
    return "Saved as a draft. It is not sent: writing to Vapi is off."


def _mirrored(session: Session) -> dict[str, object]:
    return {
        "name": session.name,
        "status": session.status,
        "expirationSeconds": session.expiration_seconds,
    }
