"""Owns whose rows a key shows: an organization is pinned to one Vapi organization, and another's rows are no answer."""

from __future__ import annotations

from functools import partial
from statistics import mode

from sessions_app.mirror.patience import patiently
from sessions_app.mirror.streams import StreamSpec
from sessions_app.models import Organization
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Gone

_SAMPLE = 100


class WrongOrganization(Exception):
    """The key answers for another Vapi organization than the one this mirror was pinned to."""

    def __init__(self) -> None:
        super().__init__("This key belongs to another Vapi organization than the one mirrored here.")


class Pin:
    """Looks at the orgIds of answers for one run. A foreign row among ours is kept apart by the writer."""

    def __init__(self, client: VapiClient, spec: StreamSpec, organization: Organization) -> None:
        self._client, self._spec, self._organization = client, spec, organization
        self._is_ours = False

    def check(self, org_ids: list[str]) -> None:
        """Pin an organization that is not yet to what its first answer says mostly. Raises WrongOrganization.

        One odd row, alone in its answer, is no proof: it takes a second look that shows nothing of ours.
        """
        if not org_ids:
            return
        if not self._organization.vapi_org_id:
            unpinned = Organization.objects.filter(pk=self._organization.pk, vapi_org_id="")
            unpinned.update(vapi_org_id=mode(org_ids))
            self._organization.refresh_from_db(fields=["vapi_org_id"])
        if self._organization.vapi_org_id in org_ids or self._is_ours:
            return
        self._is_ours = self._shows_ours()
        if not self._is_ours:
            raise WrongOrganization

    def _shows_ours(self) -> bool:
        """Ask for the newest rows, and for the newest of ours by its id."""
        listing = Listing(limit=_SAMPLE, sort_order="DESC")
        page = patiently(partial(self._client.list_stream, self._spec.path, listing))
        if any(result.get("orgId") == self._organization.vapi_org_id for result in page.results):
            return True
        ours = self._spec.table.model.objects.filter(
            organization=self._organization, missing_since__isnull=True
        )
        newest = ours.order_by("-created_at").values_list("id", flat=True).first()
        if newest is None:
            return False
        try:
            fetched = patiently(partial(self._client.get_stream, self._spec.path, newest))
        except Gone:
            return False
        return bool(fetched.payload.get("orgId") == self._organization.vapi_org_id)
