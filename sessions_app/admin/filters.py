"""What a list's filter bar offers: controls over the FilterSet's own parameter names. Decides nothing about rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.utils import timezone

Option = tuple[str, str]
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True)
class Choice:
    """One of some values; a value that came by link and is not among them is offered as it is."""

    name: str
    label: str
    options: Sequence[Option]
    any_label: str = "any"

    template = "admin/lists/choice.html"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True)
class Toggle:
    """On or not asked for."""

    name: str
    label: str
    value: str = "true"

    template = "admin/lists/toggle.html"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True)
class Range:
    """From and to. `kind` is the input's type: date or number."""

    label: str
    from_name: str
    to_name: str
    kind: str = "date"
    # Ready-made ranges: words and the parameters that they set.
    presets: Sequence[tuple[str, Mapping[str, str]]] = field(default=())

    template = "admin/lists/range.html"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.from_name, self.to_name)


def date_range(label: str, column: str) -> Range:
    """From a day to a day, both included, with the usual ones ready-made."""
    today = timezone.localdate()
    first, last = f"{column}__gte", f"{column}__lte"

    def since(days: int) -> Mapping[str, str]:
        return {first: str(today - timedelta(days=days)), last: ""}

    presets = (("Today", since(0)), ("Last 7 days", since(6)), ("Last 30 days", since(29)))
    return Range(label, first, last, "date", presets)


Control = Choice | Toggle | Range


@dataclass(frozen=True)
class End:
    """One end of a range, as a form's field."""

    words: str
    name: str
    value: str
    # The input's type.
    kind: str


@dataclass(frozen=True)
class ShownControl:
    """A control with what is asked for now and what is wrong with it."""

    control: Control
    values: Mapping[str, str]
    errors: tuple[str, ...]

    @property
    def template(self) -> str:
        return self.control.template

    @property
    def is_active(self) -> bool:
        return any(self.values.get(name) for name in self.control.names)

    @property
    def value(self) -> str:
        return self.values.get(self.control.names[0], "")

    @property
    def to_value(self) -> str:
        return self.values.get(self.control.names[-1], "")

    @property
    def ends(self) -> list[End]:
        """The fields of a range. What a field for days cannot show, such as a moment, is shown as text: as it is."""
        if not isinstance(self.control, Range):
            return []
        given = zip(("From", "To"), self.control.names, (self.value, self.to_value), strict=True)
        return [End(words, name, value, _field_kind(self.control, value)) for words, name, value in given]

    @property
    def options(self) -> list[Option]:
        if not isinstance(self.control, Choice):
            return []
        known = list(self.control.options)
        if self.value and self.value not in dict(known):
            known.append((self.value, self.value))
        return known

    @property
    def words(self) -> str:
        """What is asked for, in words: for the empty list that it led to."""
        if isinstance(self.control, Toggle):
            return self.control.label
        if isinstance(self.control, Choice):
            return f"{self.control.label}: {dict(self.options)[self.value]}"
        parts = [f"from {self.value}" if self.value else "", f"to {self.to_value}" if self.to_value else ""]
        return f"{self.control.label} {' '.join(filter(None, parts))}"


def _field_kind(control: Range, value: str) -> str:
    return "text" if control.kind == "date" and value and not _DAY.fullmatch(value) else control.kind


def show_controls(
    controls: Sequence[Control], values: Mapping[str, str], errors: Mapping[str, Sequence[str]]
) -> list[ShownControl]:
    return [
        ShownControl(
            control,
            {name: values.get(name, "") for name in control.names},
            tuple(message for name in control.names for message in errors.get(name, ())),
        )
        for control in controls
        # A box stands for one value alone; another that came by link is shown beside the controls.
        if not isinstance(control, Toggle) or values.get(control.name, control.value) == control.value
    ]
