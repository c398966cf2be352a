"""Names of assistants, squads and phone numbers for pages, several in one query."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from sessions_app.admin.filters import Choice, Control
from sessions_app.models import RemoteName
from sessions_app.models.names import NameKind

_SHOWN_ID = 8
# Beyond so many assistants and squads one is found by searching.
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


def read_speakers(who: AbstractBaseUser | AnonymousUser) -> list[Control]:
    """Return filters of those whom customers speak with: assistants and, where there are any, squads. One query."""
    kinds = (NameKind.ASSISTANT, NameKind.SQUAD)
    names = RemoteName.objects.visible_to(who).filter(kind__in=kinds).order_by("kind", "name", "remote_id")
    options: dict[str, list[tuple[str, str]]] = {kind: [] for kind in kinds}
    for name in names[:MOST_OPTIONS]:
        options[name.kind].append((name.remote_id, str(name)))
    filters = [Choice("assistant_id", "Assistant", options[NameKind.ASSISTANT])]
    return [*filters, *([Choice("squad_id", "Squad", squads)] if (squads := options[NameKind.SQUAD]) else [])]
