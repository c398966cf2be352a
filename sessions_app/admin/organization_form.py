"""The form of an organization: a key that is written and never shown, an address that does not leak it, age limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from sessions_app.mirror.connection import DEFAULT_SLUG
from sessions_app.models import Organization

# Of a shorter goal every page would say that data are old, however well all goes.
LEAST_GOAL_SECONDS = 120
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EVER = "Empty: for ever."
# Each with its label and what is said below it.
RETENTION_FIELDS = {
    "payload_retention_days": (
        "Keep what was said",
        f"Days without a change, after which words and payload go; names, customer and costs stay. {_EVER}",
    ),
    "row_retention_days": (
        "Keep sessions and chats",
        f"Days without a change, after which no sync brings them back; sums of costs stay. {_EVER}",
    ),
    "history_retention_days": ("Keep history", f"What changed in sessions, and what brought it. {_EVER}"),
    "body_retention_days": (
        "Keep bodies of webhook messages",
        f"After it, that a message came is known, and not what it said. {_EVER}",
    ),
    "event_retention_days": (
        "Keep webhook messages",
        f"Counted from when they came. Those that still wait are kept. {_EVER}",
    ),
    "quarantine_retention_days": (
        "Keep quarantine",
        f"Records that could not be stored, counted from when they last came. {_EVER}",
    ),
    "run_retention_days": (
        "Keep sync runs",
        f"The newest that succeeded stays in any case. {_EVER}",
    ),
    "notice_retention_days": (
        "Keep notices",
        f"What people were told of, and the log of deliveries. {_EVER}",
    ),
}


_PARTS = (
    ("payload_retention_days", "row_retention_days"),
    ("body_retention_days", "event_retention_days"),
)


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """The stored key never reaches the page; what is typed replaces it, an empty field keeps it."""

    api_key = forms.CharField(
        label="API key",
        required=False,
        max_length=4096,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    report_time_zone = forms.ChoiceField(
        label="Report time zone",
        choices=lambda: [(zone, zone) for zone in sorted(available_timezones())],
        widget=UnfoldAdminSelectWidget,
        help_text="Days of cost reports begin at midnight here.",
    )

    class Meta:
        model = Organization
        fields = (
            "slug",
            "name",
            "base_url",
            "api_key",
            "report_time_zone",
            "freshness_goal_seconds",
            "requires_reason",
            "bulk_delete_needs_approval",
            *RETENTION_FIELDS,
            "is_active",
        )
        labels = {name: f"{label}, days" for name, (label, _) in RETENTION_FIELDS.items()}
        help_texts = {name: text for name, (_, text) in RETENTION_FIELDS.items()}
        widgets = dict.fromkeys(("slug", "name", "base_url"), UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.pop("api_key", None)
        self._stored_key = self.instance.api_key
        if "api_key" in self.fields:
            self.fields["api_key"].help_text = (
                "A key is stored, encrypted; it is not shown again. Leave this empty to keep it."
                if self._stored_key
                else "Stored encrypted and not shown again."
            )

    @property
    def may_begin(self) -> bool:
        """Say whether what was saved lets Vapi be asked in another way than before."""
        has_new_key = bool(self.instance.api_key) and self.instance.api_key != self._stored_key
        return has_new_key or bool({"base_url", "is_active"} & set(self.changed_data))

    def clean_api_key(self) -> str:
        key = str(self.cleaned_data["api_key"]).strip()
        if not key.isascii() or any(not letter.isprintable() or letter.isspace() for letter in key):
            raise ValidationError("That is no API key: one line of visible characters is expected.")
        return key

    def clean_base_url(self) -> str:
        address = str(self.cleaned_data["base_url"]).strip().rstrip("/")
        try:
            parts = urlsplit(address)
            host, problem = parts.hostname, bool(parts.username or parts.query or parts.fragment)
        except ValueError:
            host, problem = None, True
        if not host or problem or parts.scheme not in ("https", "http"):
            raise ValidationError("Enter an address such as https://api.vapi.ai.")
        if parts.scheme == "http" and host not in _LOOPBACK:
            raise ValidationError("The key travels with every request: use https.")
        return address

    def clean_freshness_goal_seconds(self) -> int:
        seconds = int(self.cleaned_data["freshness_goal_seconds"])
        if seconds < LEAST_GOAL_SECONDS:
            raise ValidationError(
                f"Enter {LEAST_GOAL_SECONDS} or more: Vapi is asked once a minute for what has changed."
            )
        return seconds

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        typed = cleaned.get("api_key", "")
        moved = bool(self.instance.pk) and "base_url" in self.changed_data
        if moved and self._stored_key and not typed:
            self.add_error("api_key", "Enter the key again: it would be sent to another address than before.")
        if typed and self.instance.slug == DEFAULT_SLUG:
            self.add_error("api_key", "This organization's key is VAPI_API_KEY of the environment.")
        cleaned["api_key"] = typed or self._stored_key
        self._check_ages(cleaned)
        if not self.instance.pk:
            self._place(str(cleaned.get("base_url", "")))
        return cleaned

    def _check_ages(self, cleaned: dict[str, Any]) -> None:
        """What is a part of something else goes no later than that."""
        for part, whole in _PARTS:
            days, most = cleaned.get(part), cleaned.get(whole)
            if days is not None and most is not None and days > most:
                label = str(self.fields[whole].label).lower()
                self.add_error(part, f"They go whole after {most} days already ({label}).")

    def _place(self, address: str) -> None:
        """Simulated and real rows never share a database: a new one is of the kind that is here."""
        is_sandbox = Organization.objects.filter(is_sandbox=True).exists()
        if is_sandbox and address and urlsplit(address).hostname not in _LOOPBACK:
            self.add_error(
                "base_url",
                "This database holds demo data and takes simulated organizations only. Use another DATABASE_URL.",
            )
        self.instance.is_sandbox = is_sandbox
