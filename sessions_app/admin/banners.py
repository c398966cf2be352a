"""What stands above every page: silent processes, old data, refused keys, who may write to Vapi, open conflicts.

Five small queries; one more while data are old.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from sessions_app.admin.staleness import Stale, read_stale
from sessions_app.heartbeats import silent_kinds
from sessions_app.models import Edit, Organization
from sessions_app.models.edits import EditState
from sessions_app.models.organizations import WriteMode

MOST_CONFLICTS = 99

_READ_OF_ORGANIZATIONS = (
    "pk",
    "name",
    "slug",
    "write_mode",
    "is_sandbox",
    "paused_at",
    "paused_reason",
    "freshness_goal_seconds",
)
_MODE_WORDS = {
    WriteMode.OFF: "Writing is off",
    WriteMode.ON: "Writing is on",
    WriteMode.PAUSED: "Writing is paused",
}


@dataclass(frozen=True)
class Mode:
    organization_id: int
    organization: str
    mode: str
    is_sandbox: bool

    @property
    def words(self) -> str:
        return _MODE_WORDS[WriteMode(self.mode)]

    @property
    def meaning(self) -> str:
        return WriteMode(self.mode).label


@dataclass(frozen=True)
class Pause:
    organization_id: int
    organization: str
    since: datetime
    reason: str


@dataclass(frozen=True)
class Banners:
    silent: tuple[str, ...]
    modes: tuple[Mode, ...]
    conflicts: int
    pauses: tuple[Pause, ...] = ()
    stale: tuple[Stale, ...] = ()

    @property
    def silent_words(self) -> str:
        return " and no ".join(self.silent)

    @property
    def conflicts_words(self) -> str:
        many = f"more than {MOST_CONFLICTS}" if self.conflicts > MOST_CONFLICTS else str(self.conflicts)
        return f"{many} edit{'' if self.conflicts == 1 else 's'} in conflict"

    @property
    def is_demo(self) -> bool:
        return any(mode.is_sandbox for mode in self.modes)


def read_banners(who: AbstractBaseUser | AnonymousUser) -> Banners:
    organizations = list(Organization.objects.visible_to(who).active().only(*_READ_OF_ORGANIZATIONS))
    silent = tuple(silent_kinds())
    conflicts = Edit.objects.visible_to(who).filter(state=EditState.CONFLICT).order_by().values_list("pk")
    return Banners(
        silent=silent,
        modes=tuple(
            Mode(found.pk, str(found), found.write_mode, found.is_sandbox) for found in organizations
        ),
        # Not COUNT: beyond a hundred nobody wants to know how many.
        conflicts=len(conflicts[: MOST_CONFLICTS + 1]),
        pauses=tuple(
            Pause(found.pk, str(found), found.paused_at, found.paused_reason)
            for found in organizations
            if found.paused_at is not None
        ),
        stale=read_stale(organizations, silent),
    )
