"""Who may read which rows: `.visible_to(who)`, from which every list, page, report and export starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, TypeVar

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models

if TYPE_CHECKING:
    from sessions_app.models.access import ApiToken

_Model = TypeVar("_Model", bound=models.Model)


class ScopedQuerySet(models.QuerySet[_Model]):
    """A queryset whose rows belong to an organization."""

    def visible_to(self, who: AbstractBaseUser | AnonymousUser | ApiToken) -> Self:
        """Return the rows that `who` may read. For now whoever may read a kind of row reads all of it."""
        return self.all() if who.is_active else self.none()
