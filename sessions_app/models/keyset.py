"""Owns paging: the rows after or before a place in an order, by index alone. Knows no face and no parameter names.

A place is (value of the sorted column, id). Rows without a value come last in both directions: they are a second
segment, ordered by id alone, so that a plain index (organization, column, id) serves both segments either way and
on either database. No COUNT, no OFFSET.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import DateField, DateTimeField, F, Field, Model, Q, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from sessions_app.models.fields import PICO, UsdField, to_pico

_Row = TypeVar("_Row")
_LONGEST_CURSOR = 2000
# Of more organizations than these the page is one query over all of them, whatever it has to sort.
MOST_ORGANIZATIONS = 20


class BadCursor(ValueError):
    """The cursor is none of ours, or belongs to another order."""


class BadOrdering(ValueError):
    """The order is not one that this list offers."""


@dataclass(frozen=True)
class KeysetPage(Generic[_Row]):
    """Rows of one page in the order asked for, and the cursors of its neighbours (None where there is none)."""

    rows: list[_Row]
    next_cursor: str | None
    previous_cursor: str | None


@dataclass(frozen=True)
class _Place:
    """Between two rows: just after (or, backwards, just before) the row with this value and id."""

    value: Any
    id: Any
    backwards: bool = False


@dataclass(frozen=True)
class Keyset:
    """Pages through a queryset by one of the `sortable` columns ({name asked for: column}).

    A name with '-' before it asks for the descending order. The column may hold NULL; `id` may not. `by_organization`
    names the columns whose only index begins with the organization.
    """

    sortable: Mapping[str, str]
    by_organization: Collection[str] = ()

    def page(
        self,
        queryset: QuerySet[Any, _Row],
        *,
        ordering: str,
        cursor: str | None = None,
        limit: int,
        organization_ids: Collection[int] | None = None,
    ) -> KeysetPage[_Row]:
        """Return up to `limit` rows after `cursor`. One query, or two where the rows without a value begin.

        The queryset may be one of instances or of `.values()` with the column and `id` in it. Naming the
        organizations in question lets the index (organization, column, id) serve the page: of several each is
        asked for as much as the page can hold, and the page is merged from that.
        """
        order = self._order(queryset, ordering)
        place = order.read(cursor) if cursor else None
        parts = [
            queryset.filter(organization_id=pk) for pk in self._asked_by_themselves(order, organization_ids)
        ]
        backwards = place is not None and place.backwards
        found = order.fetch(parts or [queryset], place, limit + 1, backwards=backwards)
        return _page(order, found, limit, place)

    def _asked_by_themselves(
        self, order: _Order, organization_ids: Collection[int] | None
    ) -> Collection[int]:
        ids = organization_ids or ()
        most = MOST_ORGANIZATIONS if order.field.name in self.by_organization else 1
        return ids if len(ids) <= most else ()

    def _order(self, queryset: QuerySet[Any, Any], ordering: str) -> _Order:
        column = self.sortable.get(ordering.removeprefix("-"))
        if column is None:
            raise BadOrdering(
                f"Choose one of {', '.join(sorted(self.sortable))}, with - before it to reverse it."
            )
        field = queryset.model._meta.get_field(column)
        if not isinstance(field, Field):
            raise TypeError(f"{column} is no column")
        return _Order(ordering, field, ordering.startswith("-"), queryset.model)


def _page(order: _Order, found: Sequence[_Row], limit: int, place: _Place | None) -> KeysetPage[_Row]:
    more, rows = len(found) > limit, list(found[:limit])
    backwards = place is not None and place.backwards
    if backwards:
        rows.reverse()
    has_next = bool(rows) and (more or backwards)
    has_previous = bool(rows) and (more if backwards else place is not None)
    return KeysetPage(
        rows,
        order.write(rows[-1], backwards=False) if has_next else None,
        order.write(rows[0], backwards=True) if has_previous else None,
    )


@dataclass(frozen=True)
class _Order:
    name: str
    field: Field[Any, Any]
    descending: bool
    model: type[Model]

    def fetch(
        self,
        parts: Sequence[QuerySet[Any, _Row]],
        place: _Place | None,
        limit: int,
        *,
        backwards: bool,
    ) -> list[_Row]:
        """Return `limit` rows of all parts from `place` on, walking backwards if asked, through both segments."""
        segments = [True, False] if self.field.null else [True]
        if backwards:
            segments.reverse()
        if place is not None and (place.value is not None) in segments:
            segments = segments[segments.index(place.value is not None) :]
        rows: list[_Row] = []
        for with_value in segments:
            inside = place is not None and (place.value is not None) is with_value
            wanted = limit - len(rows)
            found = [
                self._segment(part, place if inside else None, with_value, backwards)[:wanted]
                for part in parts
            ]
            key = self.key if with_value else self.row_id
            merged = heapq.merge(*found, key=key, reverse=self.descending is not backwards)
            rows.extend(islice(merged, wanted))
            if len(rows) >= limit:
                break
        return rows

    def _segment(
        self, queryset: QuerySet[Any, _Row], place: _Place | None, with_value: bool, backwards: bool
    ) -> QuerySet[Any, _Row]:
        descending = self.descending is not backwards
        sign, after = ("-", "lt") if descending else ("", "gt")
        column = self.field.name
        if self.field.null:
            queryset = queryset.filter(**{f"{column}__isnull": not with_value})
        if not with_value:
            part = queryset.order_by(f"{sign}pk")
            return part.filter(**{f"pk__{after}": place.id}) if place else part
        part = (
            queryset.order_by(f"{sign}{column}", f"{sign}pk")
            if not self._is_id
            else queryset.order_by(f"{sign}pk")
        )
        return part.filter(self._after(place, after)) if place else part

    def _after(self, place: _Place, after: str) -> Q:
        if self._is_id:
            return Q(**{f"pk__{after}": place.id})
        column = self.field.name
        compare = TupleLessThan if after == "lt" else TupleGreaterThan
        # A row comparison is sought in the index by PostgreSQL, however many rows share a value. For SQLite, where
        # Django writes it as an OR, the first condition is what the index can seek.
        return Q(**{f"{column}__{after}e": place.value}) & Q(
            compare(Tuple(F(column), F("pk")), (place.value, place.id))
        )

    @property
    def _is_id(self) -> bool:
        return self.field.primary_key

    def key(self, row: Any) -> tuple[Any, Any]:
        """Return the place of a row in its order, as Python compares it: the same as both databases do."""
        name = self.field.attname
        return (row[name] if isinstance(row, Mapping) else getattr(row, name)), self.row_id(row)

    def row_id(self, row: Any) -> Any:
        key = self.model._meta.pk.attname
        return row[key] if isinstance(row, Mapping) else getattr(row, key)

    def write(self, row: Any, *, backwards: bool) -> str:
        value, row_id = self.key(row)
        content = [self.name, _plain(value), row_id, int(backwards)]
        packed = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    def read(self, cursor: str) -> _Place:
        """Return the place that `cursor` names; BadCursor where it is not one of this order."""
        try:
            name, value, row_id, backwards = _unpacked(cursor)
            if name != self.name or backwards not in (0, 1):
                raise BadCursor("This cursor belongs to another order.")
            return _Place(self._value(value), self._id(row_id), bool(backwards))
        except BadCursor:
            raise
        except (ValueError, TypeError, ArithmeticError, ValidationError):
            raise BadCursor("This is not a cursor of this list.") from None

    def _id(self, row_id: object) -> Any:
        key = self.model._meta.pk
        wanted = int if key is not None and "Auto" in key.get_internal_type() else str
        if row_id == "":
            raise ValueError
        return _bounded(_storable(_typed(row_id, wanted)))

    def _value(self, value: Any) -> Any:
        if value is None:
            if not self.field.null:
                raise ValueError
            return None
        if isinstance(self.field, UsdField):
            dollars = Decimal(_bounded(_typed(value, int))).scaleb(-PICO)
            to_pico(dollars)
            return dollars
        if isinstance(self.field, DateTimeField):
            moment = datetime.fromisoformat(_typed(value, str))
            if moment.tzinfo is None:
                raise ValueError
            # SQLite is given UTC, in which not every moment can be written.
            return moment.astimezone(UTC)
        if isinstance(self.field, DateField):
            return date.fromisoformat(_typed(value, str))
        if "Integer" in self.field.get_internal_type() or "Auto" in self.field.get_internal_type():
            return _bounded(_typed(value, int))
        return _storable(_typed(value, str))


def _plain(value: Any) -> Any:
    """Return the value as JSON keeps it without loss: dollars as whole pico-dollars, times with microseconds."""
    if isinstance(value, Decimal):
        return to_pico(value)
    return value.isoformat() if isinstance(value, date) else value


def _unpacked(cursor: str) -> Sequence[Any]:
    if len(cursor) > _LONGEST_CURSOR or not cursor.isascii():
        raise ValueError
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        content = json.loads(packed)
    except (binascii.Error, UnicodeDecodeError, RecursionError):
        raise ValueError from None
    if not isinstance(content, list) or len(content) != 4:
        raise ValueError
    return content


def _typed(value: Any, wanted: type[Any]) -> Any:
    if type(value) is not wanted:
        raise ValueError
    return value


def _storable(value: Any) -> Any:
    """NUL or half a surrogate pair in a text would be the database's error."""
    if isinstance(value, str) and b"\x00" in value.encode():
        raise ValueError
    return value


def _bounded(value: Any) -> Any:
    """A number beyond 64 bits would be the database's error."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError
    return value
