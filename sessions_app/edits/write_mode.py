"""Owns turning an organization's write mode: guarded, with a reason, and kept."""

from __future__ import annotations

import logging

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from sessions_app.models import Organization, WriteModeChange
from sessions_app.models.organizations import WriteMode

log = logging.getLogger(__name__)


def change_write_mode(
    organization: Organization, mode: str, reason: str, author: AbstractBaseUser | None = None
) -> bool:
    """Turn the mode; False where it stands so already. It takes effect before the next write, on every worker.

    Raises ValidationError by field, and where somebody else turned it since the organization was read.
    """
    problems = {} if reason.strip() else {"reason": "Say why."}
    if mode not in WriteMode.values:
        problems["mode"] = f"Choose {', '.join(WriteMode.values)}."
    if problems:
        raise ValidationError(dict(problems))
    if mode == organization.write_mode:
        return False
    with transaction.atomic():
        as_seen = Organization.objects.filter(pk=organization.pk, write_mode=organization.write_mode)
        if not as_seen.update(write_mode=mode):
            raise ValidationError("Somebody else turned the write mode meanwhile. Load the page again.")
        WriteModeChange.objects.create(
            organization=organization,
            mode=mode,
            reason=reason.strip(),
            author=author,  # type: ignore[misc]  # the user model is Django's own, typed by its base
        )
    organization.write_mode = mode
    log.info(
        "write mode turned",
        extra={"organization": organization.slug, "mode": mode, "author": author.pk if author else None},
    )
    return True


def pause_all(reason: str, author: AbstractBaseUser | None = None) -> list[Organization]:
    """Pause every organization that writes; those that are off stay off. Returns the paused ones.

    Raises ValidationError. Takes effect before the next write of any worker.
    """
    writing = Organization.objects.filter(write_mode=WriteMode.ON).order_by("slug")
    return [found for found in writing if change_write_mode(found, WriteMode.PAUSED, reason, author)]
