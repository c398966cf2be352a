"""Compares one day with Vapi: narrows it down by counts, walks what is left, asks for each id that is not listed.

What Vapi has is mirrored at once. What it no longer has is only noted here: the pass decides whether to stamp it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from sessions_app.mirror.coverage import (
    MISCOUNT,
    DayRows,
    Proof,
    Slot,
    Span,
    count_days,
    live_rows,
    middle_of,
)
from sessions_app.mirror.ledger import count
from sessions_app.mirror.quarantine import quarantine
from sessions_app.mirror.reconcile_upstream import Upstream
from sessions_app.mirror.streams import StreamSpec, mirror_results
from sessions_app.mirror.tables import MirrorTable
from sessions_app.mirror.walk import Step
from sessions_app.mirror.writer import WriteResult
from sessions_app.models import ForgottenId, Organization, QuarantinedRecord, SyncRun
from sessions_app.models.coverage import CoverageState
from sessions_app.vapi.errors import Gone, Unavailable
from sessions_app.vapi.reading import parse_results

# One page of a listing holds it.
SMALL = 1000
# Walked in parts of this size, so that memory stays flat whatever a day holds.
MOST_AT_ONCE = 20_000
# A pass that would stamp more than both of these stamps nothing.
FEW_ROWS, FEW_SHARE = 20, 0.05


class CountsDoNotHold(Exception):
    """`totalItems` disagrees with what a walk found, twice: it proves nothing tonight."""

    def __init__(self, slot: Slot, stated: int, found: int) -> None:
        self.slot = slot
        super().__init__(f"{MISCOUNT}: it says {stated:,}, a walk found {found:,}. Read whole instead.")


@dataclass
class Absent:
    """A row that Vapi answered 404 for, and when it was asked."""

    remote_id: str
    created_at: datetime
    asked_at: datetime


@dataclass
class Findings:
    """What came out of comparing one day."""

    slot: Slot
    upstream: int = 0
    was_walked: bool = False
    gone: list[Absent] = field(default_factory=list)
    # Rows that the listing leaves out though Vapi has them, and rows at Vapi that could not be stored here.
    unlisted: int = 0
    unstored: int = 0
    forgotten: int = 0
    # More is absent than may be stamped without a person's word: the rest was not asked for.
    is_too_much: bool = False
    absent: int = 0
    requests: int = 0
    note: str = ""


def is_too_much(missing: int, live: int) -> bool:
    """Say whether so many of so many rows may not be stamped unless a person agrees."""
    return missing > FEW_ROWS and missing > live * FEW_SHARE


class DayComparison:
    """Compares days of one stream for one run."""

    def __init__(
        self,
        upstream: Upstream,
        organization: Organization,
        spec: StreamSpec,
        run: SyncRun,
        *,
        stamp_anyway: bool = False,
        progress: Callable[[SyncRun], None] | None = None,
    ) -> None:
        self.upstream, self.organization, self.spec, self.run = upstream, organization, spec, run
        self.stamp_anyway, self.progress = stamp_anyway, progress
        self.trusts_counts = True
        # How many rows the pass is about, and how many of them were found to be gone.
        self.live, self.gone = 0, 0
        # Nothing will be stamped by this pass, so nothing more is asked for by id.
        self.is_refused = False

    @property
    def table(self) -> MirrorTable:
        return self.spec.table

    def walk(self, slot: Slot) -> Findings:
        """Read a day whole."""
        found, before = Findings(slot, was_walked=True), self.upstream.requests
        for span in self._parts(slot.span):
            found.upstream += self._compare(span, found)
        found.requests = self.upstream.requests - before
        return found

    def narrow(self, slot: Slot, upstream: int) -> Findings:
        """Find what differs in a day of which Vapi says that it has `upstream` rows."""
        if slot.expected != slot.rows.live:
            # How the ids that we let go spread over the day is not known.
            return self.walk(slot)
        found, before = Findings(slot, upstream), self.upstream.requests
        self._narrow(slot.span, upstream, found)
        found.requests = self.upstream.requests - before + 1
        return found

    def _narrow(self, span: Span, upstream: int, found: Findings) -> None:
        ours = live_rows(self.organization, self.table, span).count()
        if ours == upstream:
            return
        halves = self._halves(span, ours) if _pays(ours, upstream) else []
        counts = [self.upstream.count(half) for half in halves]
        if not halves or None in counts:
            self._compare(span, found)
            return
        for half, counted in zip(halves, counts, strict=True):
            self._narrow(half, counted or 0, found)

    def _parts(self, span: Span) -> Iterator[Span]:
        ours = live_rows(self.organization, self.table, span).count()
        halves = self._halves(span, ours) if ours > MOST_AT_ONCE else []
        if not halves:
            yield span
        for half in halves:
            yield from self._parts(half)

    def _halves(self, span: Span, ours: int) -> list[Span]:
        middle = middle_of(self.organization, self.table, span, ours)
        return [Span(span.start, middle), Span(middle, span.end)] if middle else []

    # Walking ---------------------------------------------------------------------------------------

    def _compare(self, span: Span, found: Findings) -> int:
        """Walk a span, mirror what Vapi has, and ask for what it does not list. Returns how many rows it has."""
        reading = self.upstream.read(span)
        seen: set[str] = set()
        unreadable: set[str] = set()
        for step in reading.steps:
            seen |= self._store(step)
            unreadable |= {entry.remote_id for entry in step.broken if entry.remote_id}
        unreadable -= seen
        if self.trusts_counts and reading.stated not in (None, reading.found):
            self._count_again(span, found, reading.found)
        ours = self._stored(span)
        stored = ours.keys() & seen
        found.unstored += sum(1 for remote_id in stored if not ours[remote_id][1])
        # Entries that are no objects, or have no id, are kept apart as well; of those that cannot be read we know
        # that they are there, and not as what.
        seen |= unreadable
        found.unstored += reading.found - len(seen) + len(unreadable)
        self._explain(seen - ours.keys(), found)
        self._ask({key: moment for key, (moment, live) in ours.items() if live and key not in seen}, found)
        return reading.found

    def _count_again(self, span: Span, found: Findings, walked: int) -> None:
        again = self.upstream.count(span)
        if again is not None and again != walked:
            raise CountsDoNotHold(found.slot, again, walked)

    def _store(self, step: Step) -> set[str]:
        """Mirror one answer of a walk, compared by whole content. Returns the ids that it showed."""
        records, bad = parse_results(self.spec.path, step.results, step.text_replaced)
        stream = self.table.stream
        for result in bad:
            quarantine(
                self.organization,
                stream,
                remote_id=result.remote_id,
                reason=result.reason,
                payload_json=result.payload_json,
                run=self.run,
            )
        for broken in step.broken:
            quarantine(
                self.organization, stream, remote_id=broken.remote_id, reason=broken.reason, run=self.run
            )
        written = mirror_results(
            self.spec, self.organization, records, asked_at=step.page.asked_at, run=self.run, deep=True
        )
        written += WriteResult(quarantined=len(bad) + len(step.broken))
        count(self.run, written, len(step.results) + len(step.broken))
        if self.progress:
            self.progress(self.run)
        return {remote_id for result in step.results if isinstance(remote_id := result.get("id"), str)}

    def _stored(self, span: Span) -> dict[str, tuple[datetime, bool]]:
        """Return our rows of a span: id, createdAt, and whether Vapi has them as far as we know."""
        rows = self.table.model.objects.filter(
            organization=self.organization, created_at__gte=span.start, created_at__lt=span.end
        )
        return {
            remote_id: (moment, missing_since is None)
            for remote_id, moment, missing_since in rows.values_list("id", "created_at", "missing_since")
        }

    def _explain(self, lacking: set[str], found: Findings) -> None:
        """Ids that Vapi lists and that are no rows here even now: let go on purpose, or not storable."""
        if not lacking:
            return
        waiting = QuarantinedRecord.objects.filter(
            organization=self.organization, stream=self.table.stream, resolved_at__isnull=True
        )
        unstored = lacking & set(waiting.values_list("remote_id", flat=True))
        forgotten = ForgottenId.objects.filter(
            organization=self.organization, stream=self.table.stream, created_day=found.slot.day
        )
        left = len(lacking) - len(unstored)
        let_go = min(left, max(0, forgotten.count() - found.forgotten)) if left else 0
        found.forgotten += let_go
        found.unstored += len(unstored) + left - let_go

    # Asking ----------------------------------------------------------------------------------------

    def _ask(self, absent: dict[str, datetime], found: Findings) -> None:
        """Ask for each row that the listing does not show. Only a 404 says that it has gone."""
        found.absent += len(absent)
        for remote_id, created_at in sorted(absent.items()):
            if self._must_stop(found):
                self.is_refused = found.is_too_much = True
                return
            asked_at = self._asked_for(remote_id, found)
            if asked_at is not None:
                found.gone.append(Absent(remote_id, created_at, asked_at))
                self.gone += 1

    def _must_stop(self, found: Findings) -> bool:
        """Say whether so much is gone that a person is asked. Where much is absent, the first few decide."""
        if self.stamp_anyway or self.is_refused:
            return self.is_refused
        if is_too_much(self.gone, self.live):
            return True
        if is_too_much(found.absent, found.slot.rows.live) and not found.unlisted:
            return len(found.gone) > FEW_ROWS
        return is_too_much(len(found.gone), found.slot.rows.live)

    def _asked_for(self, remote_id: str, found: Findings) -> datetime | None:
        """Return when Vapi said that it does not have an id; None, and the row mirrored, where it has it."""
        asked_at = timezone.now()
        try:
            fetched = self.upstream.get(remote_id)
        except Gone:
            return asked_at
        records, _ = parse_results(self.spec.path, [fetched.payload], [fetched.text_replaced])
        written = mirror_results(
            self.spec, self.organization, records, asked_at=fetched.asked_at, run=self.run, deep=True
        )
        count(self.run, written, 0)
        found.unlisted += 1
        if found.unlisted > FEW_ROWS:
            # The listing cannot be read now: asking for thousands of ids that are there would prove nothing.
            raise Unavailable("GET", f"/{self.spec.path}", None, kind="bad_body")
        return None


def _pays(ours: int, upstream: int) -> bool:
    """Say whether counting halves costs fewer requests than reading everything."""
    rows = max(ours, upstream)
    if rows <= SMALL or min(ours, upstream) == 0:
        return False
    return abs(ours - upstream) * 2 * math.log2(rows / SMALL) < rows / SMALL


def proof_of(found: Findings, rows: DayRows, *, is_refused: bool) -> Proof:
    """Return what a day's findings prove, once what is gone has been stamped or refused."""
    note = found.note or _note(found, is_refused=is_refused)
    is_equal = rows.live + found.forgotten == found.upstream and not found.unstored and not is_refused
    if not is_equal and not note:
        note = "Rows came or went while it was read. The next pass looks again."
    return Proof(
        slot=found.slot,
        rows=rows,
        state=CoverageState.PROVEN if is_equal else CoverageState.DIFFERS,
        upstream=found.upstream,
        forgotten=found.forgotten,
        was_walked=found.was_walked,
        requests=found.requests,
        note=note,
    )


def _note(found: Findings, *, is_refused: bool) -> str:
    parts = []
    if is_refused and found.absent:
        parts.append(f"Vapi no longer lists {found.absent:,} rows that are here. Nothing was marked yet.")
    if found.unlisted:
        parts.append(f"{found.unlisted:,} rows exist at Vapi, but its listing leaves them out.")
    if found.unstored:
        parts.append(f"{found.unstored:,} rows of Vapi could not be stored: see Quarantine.")
    return " ".join(parts)


def rows_of(organization: Organization, table: MirrorTable, slot: Slot) -> DayRows:
    """Return our rows of a day as they are now."""
    days = count_days(organization, table, slot.span).values()
    return DayRows(sum(day.live for day in days), sum(day.missing for day in days))
