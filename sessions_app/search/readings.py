"""Owns how a list is narrowed to what its indexes find: by ids where these are few, else whichever way is shorter.

An OR over tables in one condition would make the database walk all rows even for a handful.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db import connection
from django.db.models import Model, Q, QuerySet

FEW = 1000
# What is found in a page's worth of the newest rows is met soon by walking the list; asking costs some 20 ms.
_SAMPLE, _ENOUGH = 2000, 50


@dataclass(frozen=True)
class Reading:
    """One thing that a text may mean: the ids that an index finds, and the same as a condition on a row."""

    ids: QuerySet[Any, str]
    is_found: Q


def both(model: type[Model], one: Reading, other: Reading) -> Reading:
    """Return what both readings of a text's parts find. Asks one index now: where it finds few, those are looked at."""
    few = list(one.ids[: FEW + 1])
    if len(few) <= FEW:
        rows = model._default_manager.filter(other.is_found, pk__in=few)
        ids: QuerySet[Any, str] = rows.order_by().values_list("pk", flat=True)
    else:
        ids = other.ids.filter(pk__in=one.ids)
    return Reading(ids, one.is_found & other.is_found)


def narrow(rows: QuerySet[Any], readings: Sequence[Reading]) -> QuerySet[Any]:
    """Return those of `rows` that one of the readings finds. Asks the indexes now: one query for each, or one more.

    How rare a word's beginning is no database can tell beforehand. Guessing, PostgreSQL would read all sessions to
    join a handful, or collect a million ids to show the fifty newest.
    """
    few: set[str] = set()
    for reading in readings:
        found = list(reading.ids[: FEW + 1])
        if len(found) > FEW:
            return _narrow_to_many(rows, readings)
        few.update(found)
    return rows.filter(pk__in=sorted(few))


def _narrow_to_many(rows: QuerySet[Any], readings: Sequence[Reading]) -> QuerySet[Any]:
    is_found = reduce(or_, (reading.is_found for reading in readings))
    # SQLite finds a word's beginning in a given row no faster than in all.
    if connection.vendor == "postgresql" and _is_common(rows, is_found):
        return rows.filter(is_found)
    first, *others = (reading.ids for reading in readings)
    return rows.filter(pk__in=first.union(*others) if others else first)


def _is_common(rows: QuerySet[Any], is_found: Q) -> bool:
    newest = rows.order_by("-created_at", "-pk")[:_SAMPLE].values("pk")
    found = rows.model._default_manager.filter(is_found, pk__in=newest).order_by()
    return len(found.values_list("pk", flat=True)[:_ENOUGH]) == _ENOUGH
