"""Opens the one client through which an organization's requests to Vapi pass, within its budget."""

from __future__ import annotations

from django.conf import settings

from sessions_app.mirror.budget import Gate
from sessions_app.models import Organization
from sessions_app.models.organizations import WriteMode
from sessions_app.models.requests import Purpose
from sessions_app.vapi.client import VapiClient

DEFAULT_SLUG = "default"


class NoKey(Exception):
    """The organization has no usable API key or address, so Vapi cannot be asked."""

    def __init__(self, organization: Organization, why: str = "") -> None:
        where = "set VAPI_API_KEY" if organization.slug == DEFAULT_SLUG else "save one in the admin"
        super().__init__(f"{organization.slug} has no API key{why}: {where}.")


class Paused(NoKey):
    """Vapi refused the organization's key, so it is not asked until somebody takes it up again."""

    def __init__(self, organization: Organization) -> None:
        Exception.__init__(self, f"{organization.slug} is paused: {organization.paused_reason}")


class _BudgetedClient(VapiClient):
    """Every request, repeated ones too, passes the gate."""

    def __init__(self, organization: Organization, key: str, gate: Gate) -> None:
        super().__init__(
            organization.base_url,
            key,
            may_write=lambda: _may_write(organization.pk),
            before_request=gate.enter,
            after_request=gate.leave,
            longest_sleep=gate.longest_sleep_seconds,
        )
        self._gate = gate

    def close(self) -> None:
        super().close()
        self._gate.close()


def open_client(organization: Organization, purpose: Purpose, *, though_paused: bool = False) -> VapiClient:
    """Return a client for the organization. Raises NoKey. Close it, or use it as a context manager.

    `purpose` says how urgent its requests are; see mirror.budget.
    """
    if organization.paused_at is not None and not though_paused:
        raise Paused(organization)
    key = settings.VAPI_API_KEY if organization.slug == DEFAULT_SLUG else organization.api_key
    if not key:
        raise NoKey(organization)
    try:
        return _BudgetedClient(organization, key, Gate(organization, purpose))
    except ValueError as problem:
        # Its words name a rule, never the key.
        raise NoKey(organization, f" or address that can be used ({problem})") from None


def _may_write(organization_id: int) -> bool:
    """Read anew before every write: the mode may have been turned off since the edit was queued."""
    return Organization.objects.filter(pk=organization_id, write_mode=WriteMode.ON, is_active=True).exists()
