"""What is searched: words of conversations, and every suffix of every phone number."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from sessions_app.models.costs import Source
from sessions_app.models.organizations import Organization
from sessions_app.models.scopes import ScopedQuerySet


class SearchText(models.Model):
    """One session's or chat's place in the full-text index.

    The words themselves are in a database's own index, made by migration: on PostgreSQL the column `words`
    (tsvector, names with weight A, what was said with weight D), on SQLite the FTS5 table
    `sessions_app_searchwords` (columns `labels` and `said`) under the same rowid.
    """

    organization = models.ForeignKey(Organization, models.PROTECT)
    source = models.TextField(choices=Source.choices)
    parent_id = models.TextField()
    # The session that is found by it; '' for a chat without one.
    session_id = models.TextField(blank=True, default="")
    is_cut = models.BooleanField(default=False)

    objects: ClassVar[ScopedQuerySet[SearchText]] = ScopedQuerySet.as_manager()  # type: ignore[assignment]  # as_manager() is typed as the plain manager

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "parent_id"], name="searchtext_key")]

    def __str__(self) -> str:
        return f"{self.source}:{self.parent_id}"


class NumberSuffix(models.Model):
    """A suffix of at least three digits of a distinct number: any part of a number is a prefix of one of them."""

    suffix = models.TextField()
    digits = models.TextField()

    objects: ClassVar[models.Manager[NumberSuffix]] = models.Manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["suffix", "digits"], name="numbersuffix_key")]

    def __str__(self) -> str:
        return self.suffix
