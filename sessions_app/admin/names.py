"""Names of assistants, squads and phone numbers for pages, several in one query."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from sessions_app.models import RemoteName
from sessions_app.models.names import NameKind

_SHOWN_ID = 8
# Beyond so many assistants one is found by searching.
MOST_OPTIONS = 500


class Names:
    """Answers by kind and id; an id without a name is shown by its beginning."""

    def __init__(self, found: dict[tuple[str, str], str]) -> None:
        self._found = found

    def assistant(self, remote_id: str) -> str:
        return self._name(NameKind.ASSISTANT, remote_id)

    def squad(self, remote_id: str) -> str:
        return self._name(NameKind.SQUAD, remote_id)

    def phone_number(self, remote_id: str) -> str:
        return self._name(NameKind.PHONE_NUMBER, remote_id)

    def _name(self, kind: NameKind, remote_id: str) -> str:
        if not remote_id:
            return ""
        shortened = remote_id if len(remote_id) <= _SHOWN_ID else f"{remote_id[:_SHOWN_ID]}…"
        return self._found.get((kind, remote_id)) or shortened


def read_names(who: AbstractBaseUser | AnonymousUser, ids: Iterable[str]) -> Names:
    """Read the names of these ids in one query, whichever organization they are of."""
    wanted = sorted({remote_id for remote_id in ids if remote_id})
    rows = RemoteName.objects.visible_to(who).filter(remote_id__in=wanted).order_by()
    return Names({(kind, key): name for kind, key, name in rows.values_list("kind", "remote_id", "name")})


def read_assistant_options(who: AbstractBaseUser | AnonymousUser) -> list[tuple[str, str]]:
    """Return (id, name) of assistants, for a filter. One query."""
    names = RemoteName.objects.visible_to(who).filter(kind=NameKind.ASSISTANT).order_by("name", "remote_id")
    return [(name.remote_id, str(name)) for name in names[:MOST_OPTIONS]]
