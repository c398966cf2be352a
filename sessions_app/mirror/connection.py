"""Opens the one client through which an organization's requests to Vapi pass."""

from __future__ import annotations

from django.conf import settings

from sessions_app.models import Organization
from sessions_app.models.organizations import WriteMode
from sessions_app.vapi.client import VapiClient

DEFAULT_SLUG = "default"


class NoKey(Exception):
    """The organization has no usable API key or address, so Vapi cannot be asked."""

    def __init__(self, organization: Organization, why: str = "") -> None:
        where = "set VAPI_API_KEY" if organization.slug == DEFAULT_SLUG else "save one in the admin"
        super().__init__(f"{organization.slug} has no API key{why}: {where}.")


def open_client(organization: Organization) -> VapiClient:
    """Return a client for the organization. Raises NoKey. Close it, or use it as a context manager."""
    key = settings.VAPI_API_KEY if organization.slug == DEFAULT_SLUG else organization.api_key
    if not key:
        raise NoKey(organization)
    try:
        return VapiClient(organization.base_url, key, may_write=lambda: _may_write(organization.pk))
    except ValueError as problem:
        # Its words name a rule, never the key.
        raise NoKey(organization, f" or address that can be used ({problem})") from None


def _may_write(organization_id: int) -> bool:
    """Read anew before every write: the mode may have been turned off since the edit was queued."""
    return Organization.objects.filter(pk=organization_id, write_mode=WriteMode.ON, is_active=True).exists()
