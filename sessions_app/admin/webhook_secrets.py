"""An organization's webhook secrets: written, never shown, several at once, retired one by one."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.validators import RegexValidator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Organization, WebhookSecret
from sessions_app.models.webhooks import SecretKind

_header_name = RegexValidator(r"^[A-Za-z0-9-]{1,100}$", "A header's name has letters, digits and -.")
_client_id = RegexValidator(r"^[A-Za-z0-9._~-]+$", "A client id has letters, digits and . _ ~ -.")
_PLACEHOLDERS = {"body", "timestamp", "method", "url", "svix-id", "id"}
_FORMAT = "{timestamp}.{body}"


class SecretForm(forms.Form):
    """X-Vapi-Secret, and what the other forms share. A field left as it stands here is not stored."""

    secret = forms.CharField(max_length=4096, strip=True, widget=forms.PasswordInput)

    def clean_secret(self) -> str:
        secret = str(self.cleaned_data["secret"])
        if not secret.isascii() or any(not letter.isprintable() or letter.isspace() for letter in secret):
            raise ValidationError("One line of visible characters is expected.")
        if len(secret) < 8:
            raise ValidationError("Eight characters at least: whoever knows it can write here.")
        return secret

    def options(self) -> dict[str, Any]:
        return {
            name.removeprefix("value_"): value
            for name, value in self.cleaned_data.items()
            if name != "secret" and value and value != self.fields[name].initial
        }


class BearerForm(SecretForm):
    header = forms.CharField(
        label="Header", initial="Authorization", required=False, validators=[_header_name]
    )
    # Not `prefix`: a form has one of its own.
    value_prefix = forms.CharField(
        label="Prefix", initial="Bearer", required=False, max_length=50,
        help_text="A token without it is taken as well.",
    )  # fmt: skip


class HmacForm(SecretForm):
    secret_is_base64 = forms.BooleanField(label="The secret is written in base64", required=False)
    algorithm = forms.ChoiceField(
        choices=[(name, name) for name in ("sha256", "sha512", "sha1")], initial="sha256"
    )
    encoding = forms.ChoiceField(choices=[("hex", "hex"), ("base64", "base64")], initial="hex")
    payload_format = forms.CharField(
        label="Payload format", initial=_FORMAT, required=False, max_length=200,
        help_text="What is signed: {timestamp}, {body}, {method}, {url}, {svix-id}. Without {timestamp} an old message "
        "cannot be told from a new one.",
    )  # fmt: skip
    signature_header = forms.CharField(initial="x-signature", required=False, validators=[_header_name])
    timestamp_header = forms.CharField(initial="x-timestamp", required=False, validators=[_header_name])
    value_prefix = forms.CharField(label="Signature prefix", required=False, max_length=50)
    id_header = forms.CharField(label="Message id header", required=False, validators=[_header_name])

    def clean_payload_format(self) -> str:
        form = str(self.cleaned_data["payload_format"] or _FORMAT)
        names = set(re.findall(r"\{([^{}]*)\}", form))
        if "body" not in names or not names <= _PLACEHOLDERS:
            raise ValidationError("It holds {body}, and no placeholders but those below.")
        return form

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("secret_is_base64") and "secret" in cleaned:
            try:
                base64.b64decode(cleaned["secret"], validate=True)
            except (binascii.Error, ValueError):
                self.add_error("secret", "This is not base64.")
        return cleaned


class OAuth2Form(SecretForm):
    client_id = forms.CharField(
        label="Client id", max_length=200, validators=[_client_id],
        help_text="Id and secret as they are entered at Vapi, beside the token URL above.",
    )  # fmt: skip


FORMS: dict[str, type[SecretForm]] = {
    SecretKind.BEARER.value: BearerForm,
    SecretKind.HEADER.value: SecretForm,
    SecretKind.HMAC.value: HmacForm,
    SecretKind.OAUTH2.value: OAuth2Form,
}


def secrets_view(request: HttpRequest, organization_id: int) -> HttpResponse:
    """Show what an organization's messages may carry, and take one more secret."""
    if not request.user.has_perm("sessions_app.view_webhooksecret"):
        raise PermissionDenied
    organization = Organization.objects.visible_to(request.user).filter(pk=organization_id).first()
    if organization is None:
        raise Http404
    may_add = request.user.has_perm("sessions_app.add_webhooksecret")
    asked = request.POST.get("kind") or request.GET.get("kind") or ""
    kind = asked if asked in FORMS else SecretKind.BEARER.value
    form = FORMS[kind](request.POST or None)
    if request.method == "POST":
        if not may_add:
            raise PermissionDenied
        if form.is_valid():
            return _add(request, organization, kind, form)
    context = {
        **admin.site.each_context(request),
        "title": "Webhooks",
        "opts": Organization._meta,
        "original": organization,
        "organization": organization,
        "address": settings.PUBLIC_URL + reverse("webhook", args=[organization.slug]),
        "token_address": settings.PUBLIC_URL + reverse("webhook_token", args=[organization.slug]),
        "takes_environment": organization.slug == DEFAULT_SLUG,
        "has_environment": bool(settings.VAPI_WEBHOOK_SECRET),
        "secrets": organization.webhook_secrets.order_by("retired_at", "-pk"),
        "kinds": SecretKind.choices,
        "kind": kind,
        "form": form,
        "may_add": may_add,
        "may_retire": request.user.has_perm("sessions_app.change_webhooksecret"),
    }
    return TemplateResponse(request, "admin/webhooks/secrets.html", context)


def _add(request: HttpRequest, organization: Organization, kind: str, form: SecretForm) -> HttpResponse:
    WebhookSecret.objects.create(
        organization=organization, kind=kind, secret=form.cleaned_data["secret"], options=form.options()
    )
    messages.success(request, "Messages with this secret are taken from now on. It is not shown again.")
    return redirect("admin:webhook_secrets", organization.pk)


@require_POST
def retire_view(request: HttpRequest, secret_id: int) -> HttpResponse:
    if not request.user.has_perm("sessions_app.change_webhooksecret"):
        raise PermissionDenied
    secret = WebhookSecret.objects.visible_to(request.user).filter(pk=secret_id).first()
    if secret is None:
        raise Http404
    WebhookSecret.objects.filter(pk=secret_id, retired_at=None).update(retired_at=timezone.now())
    messages.success(request, "Messages with this secret are refused from now on.")
    return redirect("admin:webhook_secrets", secret.organization_id)
