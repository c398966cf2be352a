"""What stands above every page: silent processes, who may write to Vapi, open conflicts. Four small queries at most."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from sessions_app.heartbeats import silent_kinds
from sessions_app.models import Edit, Organization
from sessions_app.models.edits import EditState
from sessions_app.models.organizations import WriteMode

MOST_CONFLICTS = 99

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
class Notices:
    silent: tuple[str, ...]
    modes: tuple[Mode, ...]
    conflicts: int

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


def read_notices(who: AbstractBaseUser | AnonymousUser) -> Notices:
    organizations = (
        Organization.objects.visible_to(who).active().only("pk", "name", "slug", "write_mode", "is_sandbox")
    )
    conflicts = Edit.objects.visible_to(who).filter(state=EditState.CONFLICT).order_by().values_list("pk")
    return Notices(
        silent=tuple(silent_kinds()),
        modes=tuple(
            Mode(found.pk, str(found), found.write_mode, found.is_sandbox) for found in organizations
        ),
        # Not COUNT: beyond a hundred nobody wants to know how many.
        conflicts=len(conflicts[: MOST_CONFLICTS + 1]),
    )
