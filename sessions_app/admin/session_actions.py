"""What people do to a session beside its form: complete it, extend it, delete it at Vapi, correct one message.

Each queues an edit against what the page showed; nothing is sent to Vapi from here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from sessions_app import tasks
from sessions_app.customers.present import present_customer
from sessions_app.edits.deletions import check_typed, deletion_base, queue_delete
from sessions_app.edits.message_edits import LONGEST_WORDS, StaleMessage, mirrored_messages, queue_messages
from sessions_app.edits.queue import Making, SubmissionReused, queue_edit, shown_values
from sessions_app.edits.turns import digest_of, words_of
from sessions_app.edits.validation import MOST_SECONDS
from sessions_app.edits.values import differing
from sessions_app.models import Edit, Session
from sessions_app.vapi.payloads import DEFAULT_EXPIRATION_SECONDS

_SALT = "sessions_app.admin.session_actions.base"
EXTENSIONS = (("3600", "1 hour"), ("86400", "1 day"), ("604800", "7 days"))
_STALE = "The session has changed since this page was loaded. Look at it as it is now, then do it again."
_SAVED_BEFORE = "This form was saved before, with something else. Save again to send what stands here now."
_SAVED = {
    "on": "Saved. It is on its way to Vapi; its state is shown beside the conversation.",
    "paused": "Saved. It waits: writing to Vapi is paused.",
    "off": "Saved as a draft. It is not sent: writing to Vapi is off.",
}


class _Carried(forms.Form):
    """What the page showed, signed, and the key by which an impatient click is one edit."""

    base = forms.CharField(widget=forms.HiddenInput)
    submission_key = forms.UUIDField(widget=forms.HiddenInput)
    reason = forms.CharField(required=False, max_length=2000)

    def __init__(self, *args: Any, session: Session, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session

    def clean_base(self) -> dict[str, Any]:
        try:
            carried: dict[str, Any] = signing.loads(self.cleaned_data["base"], salt=_SALT)
        except signing.BadSignature:
            raise ValidationError("This form is not complete. Load the page again.") from None
        if carried.get("session") != self.session.pk:
            raise ValidationError("This form belongs to another session. Load the page again.")
        values: dict[str, Any] = carried["values"]
        return values

    def making(self, request: HttpRequest) -> Making:
        cleaned = self.cleaned_data
        return Making(
            "admin",
            cleaned["reason"],
            request.user,  # type: ignore[arg-type]  # whoever passed the permission check has signed in
            submission_key=cleaned["submission_key"],
        )


class ExtendForm(_Carried):
    extend = forms.ChoiceField(choices=EXTENSIONS)


class DeleteForm(_Carried):
    typed = forms.CharField(required=False, max_length=1000)


class MessageForm(_Carried):
    do = forms.ChoiceField(choices=[("replace", "replace"), ("redact", "redact"), ("remove", "remove")])
    text = forms.CharField(required=False, strip=False, max_length=LONGEST_WORDS * 2)


def carry(session: Session, values: dict[str, Any]) -> dict[str, Any]:
    """Return the hidden fields of a form that shows `values`."""
    base = signing.dumps({"session": session.pk, "values": values}, salt=_SALT)
    return {"base": base, "submission_key": uuid4()}


def complete_view(request: HttpRequest, session: Session) -> HttpResponse:
    return _correct(request, _Carried(request.POST, session=session), lambda _: {"status": "completed"})


def extend_view(request: HttpRequest, session: Session) -> HttpResponse:
    form = ExtendForm(request.POST, session=session)
    if form.is_valid() and _is_beyond(form):
        messages.info(request, "It may last for 30 days, which is the most that Vapi takes.")
    return _correct(request, form, _extended)


def _is_beyond(form: _Carried) -> bool:
    return _seconds(form) + int(form.cleaned_data["extend"]) > MOST_SECONDS


def _seconds(form: _Carried) -> int:
    return int(form.cleaned_data["base"].get("expirationSeconds") or DEFAULT_EXPIRATION_SECONDS)


def _extended(form: _Carried) -> dict[str, object]:
    return {"expirationSeconds": min(_seconds(form) + int(form.cleaned_data["extend"]), MOST_SECONDS)}


def _correct(
    request: HttpRequest, form: _Carried, wanted: Callable[[_Carried], dict[str, object]]
) -> HttpResponse:
    """Queue one field's correction; what has changed since the page was loaded is not overwritten."""
    session = form.session
    if not form.is_valid():
        messages.error(request, "This form is not complete. Load the page again.")
        return _back(session)
    base, fields = form.cleaned_data["base"], wanted(form)
    if not _is_known(form) and differing(base, shown_values(session), fields):
        messages.error(request, _STALE)
        return _back(session)
    making = form.making(request)
    return _queued(
        request,
        session,
        lambda: queue_edit(
            session=session,
            base=base,
            fields=fields,
            source=making.source,
            reason=making.reason,
            author=making.author,
            submission_key=making.submission_key,
        ),
    )


def delete_view(site_context: dict[str, Any], request: HttpRequest, session: Session) -> HttpResponse:
    """Ask for the session's name or id, then queue its deletion at Vapi."""
    shown = deletion_base(session)
    form = DeleteForm(request.POST or None, initial=carry(session, shown), session=session)
    if request.method == "POST" and form.is_valid():
        try:
            check_typed(session, form.cleaned_data["typed"])
            if not _is_known(form) and form.cleaned_data["base"] != shown:
                raise ValidationError(_STALE)
            edit = queue_delete(session, form.making(request), form.cleaned_data["base"])
        except ValidationError as error:
            _add_problems(form, error)
            _carry_anew(form, shown)
        else:
            return _sent(request, session, edit)
    context = {**site_context, "form": form, "session": session, "customer": present_customer(session)}
    return TemplateResponse(request, "admin/sessions/delete.html", context)


def message_view(
    site_context: dict[str, Any], request: HttpRequest, session: Session, position: int
) -> HttpResponse:
    """Show one message as it stands, and queue its correction."""
    said = mirrored_messages(session.pk)
    if position >= len(said) or not isinstance(said[position], dict):
        raise Http404
    message, has_changed = said[position], False
    initial = {
        **carry(session, {"digest": digest_of(message)}),
        "text": words_of(message),
        "do": "replace" if words_of(message) else "remove",
    }
    form = MessageForm(request.POST or None, initial=initial, session=session)
    if request.method == "POST" and form.is_valid():
        cleaned = form.cleaned_data
        operation = {"do": cleaned["do"], "position": position, "digest": cleaned["base"].get("digest")}
        if cleaned["do"] == "replace":
            operation["text"] = cleaned["text"].replace("\r\n", "\n")
        try:
            edit = queue_messages(session, [operation], form.making(request))
        except SubmissionReused:
            form.add_error(None, _SAVED_BEFORE)
            has_changed = operation["digest"] != digest_of(message)
            _carry_anew(form, {"digest": digest_of(message)})
        except StaleMessage as error:
            form.add_error(None, error)
            has_changed = True
            _carry_anew(form, {"digest": digest_of(message)})
        except ValidationError as error:
            _add_problems(form, error, {"messages": "text"})
        else:
            return _sent(request, session, edit)
    context = {
        **site_context,
        "form": form,
        "session": session,
        "customer": present_customer(session),
        "position": position,
        "role": str(message.get("role") or "unknown"),
        "words": words_of(message),
        "has_changed": has_changed,
        "longest_words": LONGEST_WORDS,
    }
    return TemplateResponse(request, "admin/sessions/message.html", context)


def _carry_anew(form: _Carried, values: dict[str, Any]) -> None:
    """What is shown now is what the next saving stands on."""
    given = {name: form.data.get(name, "") for name in form.fields}
    form.data = {**given, **carry(form.session, values)}


def _is_known(form: _Carried) -> bool:
    """Say whether this very form was sent before: what has changed since then is its own doing."""
    key: UUID = form.cleaned_data["submission_key"]
    return Edit.objects.filter(submission_key=key).exists()


def _queued(request: HttpRequest, session: Session, queue: Callable[[], Edit]) -> HttpResponse:
    try:
        edit = queue()
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return _back(session)
    return _sent(request, session, edit)


def _sent(request: HttpRequest, session: Session, edit: Edit) -> HttpResponse:
    transaction.on_commit(partial(tasks.enqueue, tasks.push_edit, edit.pk))
    messages.success(request, _SAVED[session.organization.write_mode])
    return _back(session)


def _add_problems(form: _Carried, error: ValidationError, names: dict[str, str] | None = None) -> None:
    if not hasattr(error, "error_dict"):
        form.add_error(None, error)
        return
    for field, problems in error.error_dict.items():
        name = (names or {}).get(field, field)
        form.add_error(name if name in form.fields else None, problems)


def _back(session: Session) -> HttpResponse:
    return redirect("admin:sessions_app_session_change", quote(session.pk))
