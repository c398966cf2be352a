"""Owns the kinds of filter parameters: lists, moments, dollars, parts of text. Knows no table.

What each is to whoever asks stands in its `about`, by lookup where it has several: REST's documentation shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from sessions_app.models.fields import to_pico
from sessions_app.models.mirrored import having_text
from sessions_app.search.readings import Reading, narrow

# In a comma list: rows that have none.
NONE = "none"
_LONGEST_TEXT = 1000
About = str | Mapping[str, str]
ONE_OF = "One of these, by comma; `none` for rows that have none."
_WORDS_OF_BOUND = {"gt": "after", "gte": "from", "lt": "before", "lte": "up to"}


class _RepeatableInput(forms.TextInput):
    """?a=1&a=2 means the same as ?a=1,2."""

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        if hasattr(data, "getlist"):
            return ",".join(data.getlist(name)) or None
        value = data.get(name)
        return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else value


class ListField(forms.CharField):
    """Comma-separated values; with `choices`, nothing but these."""

    widget = _RepeatableInput

    def __init__(self, *, choices: Sequence[str] = (), **options: Any) -> None:
        self.choices = choices
        super().__init__(**options)

    def clean(self, value: Any) -> Any:
        values = [part.strip() for part in str(super().clean(value) or "").split(",") if part.strip()]
        if self.choices and not set(values) <= set(self.choices):
            raise ValidationError(f"Choose from {', '.join(self.choices)}.")
        return values


class ListFilter(django_filters.Filter):
    """Rows whose column is one of a comma list; `none` stands for rows that have none."""

    about: About = ONE_OF
    field_class = ListField

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.extra.get("choices"):
            self.about = "One or more of"

    def filter(self, qs: QuerySet[Any], value: Sequence[str]) -> QuerySet[Any]:
        if not value:
            return qs
        wanted = ["" if part == NONE else part for part in value]
        return qs.filter(
            **{f"{self.field_name}__in": wanted} if len(wanted) > 1 else {self.field_name: wanted[0]}
        )


class ValueFilter(django_filters.CharFilter):
    """Rows whose column is this one value, which may hold a comma; `none` stands for rows that have none."""

    about: About = "This value; `none` for rows that have none."

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, max_length=_LONGEST_TEXT, **options)

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        return qs.filter(**{self.field_name: "" if value == NONE else value}) if value else qs


class NumberListFilter(ListFilter):
    """A comma list of whole numbers."""

    about = "One of these whole numbers, by comma."

    class _Field(ListField):
        def clean(self, value: Any) -> Any:
            values = super().clean(value)
            if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in values):
                raise ValidationError("Enter whole numbers.")
            return values

    field_class = _Field


class TextFilter(django_filters.CharFilter):
    """Text to be equal to, or with the lookup icontains a part of it in either case."""

    about: About = {"exact": "Exactly this text.", "icontains": "A part of it, in upper or lower case."}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, max_length=_LONGEST_TEXT, **options)


class IndexedTextFilter(TextFilter):
    """Text to be equal to, of a column with a text_index."""

    def filter(self, qs: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return qs
        # PostgreSQL does not see how rare a text is in such an index, and would walk all rows in their order.
        ids = having_text(qs.model._default_manager.all(), self.field_name, value)
        is_equal = Q(**{self.field_name: value})
        return narrow(qs, [Reading(ids.order_by().values_list("pk", flat=True), is_equal)])


class MomentField(forms.CharField):
    """An ISO 8601 time; without a zone it is of the time zone in use. A day alone is its beginning or its end."""

    def __init__(self, *, takes_end_of_day: bool = False, **options: Any) -> None:
        self.takes_end_of_day = takes_end_of_day
        super().__init__(**options)

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return self._moment(text)
        except (ValueError, OverflowError):
            raise ValidationError("Enter a time such as 2026-08-01T12:00:00Z, or a day.") from None

    def _moment(self, text: str) -> datetime:
        if len(text) <= 10:
            return self._edge_of(date.fromisoformat(text)).astimezone(UTC)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else timezone.make_aware(moment)).astimezone(UTC)

    def _edge_of(self, day: date) -> datetime:
        if not self.takes_end_of_day:
            return timezone.make_aware(datetime.combine(day, time()))
        if day == date.max:
            return datetime.max.replace(tzinfo=UTC)
        return timezone.make_aware(datetime.combine(day + timedelta(days=1), time())) - timedelta(
            microseconds=1
        )


class MomentFilter(django_filters.Filter):
    """A bound in time."""

    about: About = {
        "gt": "After this time, or after this day.",
        "gte": "From this time or day on.",
        "lt": "Before this time or day.",
        "lte": "Up to this time, or up to the end of this day.",
    }
    field_class = MomentField

    def __init__(self, *args: Any, lookup_expr: str, **options: Any) -> None:
        takes_end_of_day = lookup_expr in {"lte", "gt"}
        super().__init__(*args, lookup_expr=lookup_expr, takes_end_of_day=takes_end_of_day, **options)


class UsdInput(forms.DecimalField):
    """Dollars within what a column holds."""

    def clean(self, value: Any) -> Decimal | None:
        dollars: Decimal | None = super().clean(value)
        if dollars is not None:
            to_pico(dollars)
        return dollars


class UsdFilter(django_filters.Filter):
    """A bound in dollars, up to 12 decimal places."""

    about: About = {
        "gt": "More dollars than this.",
        "gte": "This many dollars or more.",
        "lt": "Fewer dollars than this.",
        "lte": "This many dollars or fewer.",
    }
    field_class = UsdInput

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, max_digits=18, decimal_places=12, **options)


class YesNoFilter(django_filters.TypedChoiceFilter):
    """true or false."""

    about: About = "true or false."

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(
            *args,
            choices=[("true", "yes"), ("false", "no")],
            coerce=lambda value: value == "true",
            empty_value=None,
            error_messages={"invalid_choice": "Enter true or false."},
            **options,
        )


class MissingFilter(YesNoFilter):
    """Rows that Vapi no longer has, or those that it has."""

    about = "true: Vapi no longer has it; false: it has."

    def filter(self, qs: QuerySet[Any], value: bool | None) -> QuerySet[Any]:
        return qs if value is None else qs.filter(missing_since__isnull=not value)


class FailedToolsFilter(YesNoFilter):
    """Rows in which a tool call failed, or none did."""

    about = "true: a tool call in it failed; false: none did."

    def filter(self, qs: QuerySet[Any], value: bool | None) -> QuerySet[Any]:
        if value is None:
            return qs
        return qs.filter(failed_tool_count__gt=0) if value else qs.filter(failed_tool_count=0)


class DayFilter(django_filters.DateFilter):
    """A day, or a bound of days."""

    about: About = {"exact": "This day.", "gte": "From this day on.", "lte": "Up to and with this day."}


def bounds(kind: type[django_filters.Filter], column: str) -> dict[str, django_filters.Filter]:
    """Return the four bounds of a column: column__gt, __gte, __lt, __lte."""
    return {
        f"{column}__{lookup}": kind(
            field_name=column, lookup_expr=lookup, label=f"{column.replace('_', ' ')} {word}"
        )
        for lookup, word in _WORDS_OF_BOUND.items()
    }
