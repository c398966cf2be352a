"""The audit of edits: each change of state. Ids, names, digests and lengths only; rows are never changed."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, TypeVar

from django.db import models

from sessions_app.models.bulks import BulkEdit
from sessions_app.models.edits import Edit
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet

_REFUSAL = "The audit is added to, never changed."
_Model = TypeVar("_Model", bound=models.Model)


class AuditQuerySet(ScopedQuerySet[_Model]):
    """Rows are added and read. The database refuses the rest too, whoever asks it."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError(_REFUSAL)

    def delete(self) -> NoReturn:
        raise TypeError(_REFUSAL)


class AddedOnly(models.Model):
    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self._refuse()
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError(_REFUSAL)


class EditTransition(AddedOnly):
    """An edit came to a state: when, by whom or which worker, and with which answer of Vapi."""

    organization = models.ForeignKey(Organization, models.PROTECT)
    edit = models.ForeignKey(Edit, models.PROTECT, related_name="transitions")
    state = models.TextField()
    # A person's or token's name, or the worker's host and process.
    actor = models.TextField(blank=True, default="")
    request_id = models.TextField(blank=True, default="")
    http_status = models.IntegerField(null=True, blank=True)
    # {field: {"base": {"sha256", "length"}, "new": {...}}}
    digests = models.JSONField(default=dict)
    # The error's class, where Vapi's answer was one.
    note = models.TextField(blank=True, default="")
    happened_at = models.DateTimeField()

    objects: ClassVar[AuditQuerySet[EditTransition]] = AuditQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        verbose_name = "change of an edit's state"
        verbose_name_plural = "audit"
        ordering = ("happened_at", "id")
        indexes = [models.Index(fields=["happened_at", "id"], name="edittransition_happened_at")]

    def __str__(self) -> str:
        return f"{self.edit_id}: {self.state}"


class BulkTransition(AddedOnly):
    """Something was decided about a bulk edit, or it ended: what, by whom and when."""

    organization = models.ForeignKey(Organization, models.PROTECT)
    bulk = models.ForeignKey(BulkEdit, models.PROTECT, related_name="transitions")
    # previewed, begun, asked for approval, approved, refused, paused, continued, cancelled, retried, done
    act = models.TextField()
    # How many sessions were chosen.
    sessions = models.IntegerField()
    actor = models.TextField(blank=True, default="")
    request_id = models.TextField(blank=True, default="")
    happened_at = models.DateTimeField()

    objects: ClassVar[AuditQuerySet[BulkTransition]] = AuditQuerySet.as_manager()  # type: ignore[assignment]  # as above

    class Meta:
        ordering = ("happened_at", "id")

    def __str__(self) -> str:
        return f"{self.bulk_id}: {self.act}"
