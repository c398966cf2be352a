"""Lists of rows: Unfold's change list with the FilterSets and the keyset that REST has, and no COUNT.

A list's query string therefore works in REST. Filters stand in one bar above the rows, where what is asked for
is seen without opening anything, in place of Unfold's sheet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from sessions_app.admin.filters import Choice, Control, ShownControl, show_controls
from sessions_app.models import Organization
from sessions_app.models.keyset import BadCursor, BadOrdering, Keyset, KeysetPage
from sessions_app.search.sought import Sought

PER_PAGE = 50
OWN_PARAMETERS = ("cursor", "ordering")


@dataclass(frozen=True)
class Column:
    title: str
    # The name to sort by, '' where the list cannot be sorted by it.
    sort: str = ""
    classes: str = ""


@dataclass(frozen=True)
class SortLink:
    column: Column
    # The ordering that a click asks for, and how the list stands now: '', 'ascending' or 'descending'.
    ordering: str
    state: str


class NoPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs alone
    """Django's change list wants a paginator. This one never counts."""

    template_name = "admin/lists/paging.html"

    @property
    def count(self) -> int:
        return 0


class KeysetChangeList(ChangeList):
    """Rows after a cursor, filtered by the admin's FilterSet."""

    model_admin: ListAdmin
    params: dict[str, str]

    def get_queryset(self, request: HttpRequest, exclude_parameters: object = None) -> QuerySet[Any]:
        self.values = read_values(self.model_admin.filterset_class, request.GET)
        self.asked = {name: value for name, value in self.values.items() if name not in OWN_PARAMETERS}
        self.filter_specs: list[Any] = []
        self.has_filters, self.has_active_filters = False, bool(self.asked)
        self.organizations = list(Organization.objects.visible_to(request.user).only("pk", "slug", "name"))
        filtered, self.errors = self.model_admin.filter_rows(self.root_queryset, self.asked)
        return filtered

    def get_results(self, request: HttpRequest) -> None:
        self.page = self._page()
        self.rows = self.model_admin.prepare_rows(request, self.page.rows)
        self.result_list = self.page.rows
        self.result_count = self.full_result_count = len(self.page.rows)
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = NoPaginator([], PER_PAGE)
        is_bare = not self.rows and not self.asked
        self.nothing = self.model_admin.read_nothing(request) if is_bare else {}
        if not self.rows and self.asked:
            self.nothing = self.model_admin.read_not_found(request, self.organizations)
        controls = [*self._organization_control(), *self.model_admin.controls(request)]
        self.controls = show_controls(controls, self.asked, self.errors)

    def _organization_control(self) -> list[Control]:
        filterset = self.model_admin.filterset_class
        if len(self.organizations) < 2 or filterset is None or "organization" not in filterset.names():
            return []
        options = [(found.slug, str(found)) for found in self.organizations]
        return [Choice("organization", "Organization", options)]

    def _page(self) -> KeysetPage[Any]:
        admin, self.notice = self.model_admin, ""
        organizations = [found.pk for found in self.organizations] if admin.of_organization else None
        try:
            self.ordering = self.values.get("ordering", admin.default_ordering)
            return admin.keyset.page(
                self.queryset,
                ordering=self.ordering,
                cursor=self.values.get("cursor"),
                limit=PER_PAGE,
                organization_ids=organizations,
            )
        except (BadCursor, BadOrdering) as error:
            self.notice, self.ordering = f"{error} Shown from the start.", admin.default_ordering
            return admin.keyset.page(
                self.queryset, ordering=self.ordering, limit=PER_PAGE, organization_ids=organizations
            )

    # For the template --------------------------------------------------------------------------

    @property
    def search(self) -> str:
        return self.asked.get("search", "")

    @property
    def words(self) -> str:
        """What is looked for in what was said: by the box, or by a link."""
        return self.search or self.asked.get("q", "")

    @cached_property
    def sought(self) -> Sought | None:
        """The same, to be marked in what rows show."""
        return Sought.of(self.words) if self.words else None

    @property
    def is_paged(self) -> bool:
        return bool(self.page.next_cursor or self.page.previous_cursor)

    @property
    def is_first(self) -> bool:
        return "cursor" not in self.values

    @property
    def is_by_time(self) -> bool:
        return self.ordering == self.model_admin.default_ordering

    @property
    def active_controls(self) -> list[ShownControl]:
        return [control for control in self.controls if control.is_active]

    @property
    def extras(self) -> list[tuple[str, str, Sequence[str]]]:
        """Parameters that came by link and have no control: name, value and what is wrong with each."""
        named = {name for control in self.controls for name in control.control.names} | {"search"}
        return [
            (name, value, self.errors.get(name, ()))
            for name, value in self.asked.items()
            if name not in named
        ]

    @property
    def search_errors(self) -> Sequence[str]:
        return self.errors.get("search", ())

    @property
    def headings(self) -> list[SortLink]:
        return [self._heading(column) for column in self.model_admin.columns]

    def _heading(self, column: Column) -> SortLink:
        if not column.sort or self.ordering.removeprefix("-") != column.sort:
            return SortLink(column, f"-{column.sort}", "")
        descending = self.ordering.startswith("-")
        return SortLink(
            column,
            column.sort if descending else f"-{column.sort}",
            "descending" if descending else "ascending",
        )


class ListAdmin(ModelAdmin):
    """A list that nobody adds to, changes or deletes from by Django's own forms."""

    change_list_template = "admin/lists/page.html"
    row_template: ClassVar[str]
    columns: ClassVar[Sequence[Column]] = ()
    keyset: ClassVar[Keyset]
    default_ordering: ClassVar[str] = "-created_at"
    # Rows have an organization, which the keyset may be told.
    of_organization: ClassVar[bool] = True
    filterset_class: ClassVar[Any] = None
    search_placeholder: ClassVar[str] = ""
    list_heading: ClassVar[str] = ""
    before_template: ClassVar[str] = ""
    # Shown above the rows to those who may correct many at once.
    bulk_template: ClassVar[str] = ""
    # What an empty list says: nothing yet, and an icon of Material Symbols.
    nothing_yet: ClassVar[str] = "Nothing yet."
    nothing_yet_template: ClassVar[str] = ""
    nothing_found_template: ClassVar[str] = ""
    icon: ClassVar[str] = "inbox"
    # How often the first page asks for itself again; 0 for never.
    poll_seconds: ClassVar[int] = 0
    actions = None
    list_fullwidth = True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeysetChangeList

    def filter_rows(
        self, queryset: QuerySet[Any], asked: Mapping[str, str]
    ) -> tuple[QuerySet[Any], Mapping[str, Sequence[str]]]:
        """Apply what is asked for. What is not understood is left out and answered by words, by parameter."""
        if self.filterset_class is None:
            return queryset, dict.fromkeys(asked, ("There is no such filter here.",))
        return filter_strictly(self.filterset_class, queryset, asked)

    def controls(self, request: HttpRequest) -> Sequence[Control]:
        """Return what the filter bar offers, beside the organization, which stands first where there are several."""
        return ()

    def prepare_rows(self, request: HttpRequest, rows: Sequence[Any]) -> Sequence[Any]:
        """Return what the row template shows for each row, in a fixed number of queries."""
        return rows

    def read_nothing(self, request: HttpRequest) -> dict[str, Any]:
        """Return what `nothing_yet_template` needs, asked only where there is not one row."""
        return {}

    def read_not_found(self, request: HttpRequest, organizations: Sequence[Organization]) -> dict[str, Any]:
        """Return what an empty list says of how much is here, where something was looked for."""
        return {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": self.list_heading or self.opts.verbose_name_plural, **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def read_values(filterset_class: Any, query: QueryDict) -> dict[str, str]:
    """Return the parameters that say something. Of a list all that is given counts, of others the last."""
    lists = filterset_class.lists() if filterset_class else ()
    given = {name: [text for text in texts if text.strip()] for name, texts in query.lists()}
    return {name: ",".join(texts) if name in lists else texts[-1] for name, texts in given.items() if texts}


def filter_strictly(
    filterset_class: Any, queryset: QuerySet[Any], asked: Mapping[str, str]
) -> tuple[QuerySet[Any], dict[str, Sequence[str]]]:
    """Apply a FilterSet. A parameter that is unknown or not understood finds nothing, and says why."""
    known = filterset_class.names()
    errors: dict[str, Sequence[str]] = {
        name: ("There is no such filter.",) for name in asked if name not in known
    }
    filterset = filterset_class(
        data={name: value for name, value in asked.items() if name in known}, queryset=queryset
    )
    for name, words in filterset.form.errors.items():
        errors[name] = tuple(str(word) for word in words)
    return (queryset.none() if errors else filterset.qs), errors


def as_pk(text: str | int) -> int:
    """Return the number that an address names; 0, which no row has, for anything else."""
    digits = str(text)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0
