"""Proves, day by day, that Vapi and we hold the same rows, and repairs what differs.

Days are counted first, several together; where a count differs they are halved, and at last a small stretch is
walked. A row that Vapi no longer lists is asked for by id, and only a 404 stamps it. Nothing is stamped before the
whole stream has been looked at: a pass that would stamp too much stamps nothing and asks a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import ceil

from django.utils import timezone

from sessions_app.mirror.connection import open_client
from sessions_app.mirror.coverage import (
    DayRows,
    Proof,
    Slot,
    Span,
    counts_are_doubted,
    plan_slots,
    save_proofs,
)
from sessions_app.mirror.leases import HeldLease, LeaseTaken, hold_lease
from sessions_app.mirror.ledger import Unfinished, open_run
from sessions_app.mirror.pages import told_at
from sessions_app.mirror.quarantine import release_nameless
from sessions_app.mirror.reconcile_boundary import Boundary, learn_boundary
from sessions_app.mirror.reconcile_day import (
    Absent,
    CountsDoNotHold,
    DayComparison,
    Findings,
    is_too_much,
    proof_of,
    rows_of,
)
from sessions_app.mirror.reconcile_upstream import Upstream, created_at
from sessions_app.mirror.streams import STREAMS
from sessions_app.models import Organization, SyncRun, Watermark, WebhookEvent
from sessions_app.models.coverage import CoverageState
from sessions_app.models.mirrored import MissingReason
from sessions_app.models.requests import Purpose
from sessions_app.models.runs import RunKind, RunState, Stream
from sessions_app.vapi.answers import Page
from sessions_app.vapi.client import VapiClient

# Into this many stretches a stream's days are put to be counted. More would cost requests, fewer would let a row
# that was lost hide behind one that was deleted somewhere else.
_STRETCHES = 16
# `totalItems` that was found wrong is not trusted again for this long: the rest of the night.
_DOUBT = timedelta(hours=12)
# Vapi's Date header counts whole seconds.
_DATE_STEP = timedelta(seconds=1)
_AT_ONCE = 500
_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
# What a run's error begins with when a person is asked.
ASKS = "A person has to agree"
Progress = Callable[[SyncRun], None]

__all__ = ["ASKS", "LeaseTaken", "asks_a_person", "reconcile_stream"]


def reconcile_stream(
    organization: Organization,
    stream: Stream,
    *,
    stamp_anyway: bool = False,
    whole: bool = False,
    started_by_id: int | None = None,
    progress: Progress | None = None,
) -> SyncRun:
    """Prove one stream and return its run in its final state. Raises LeaseTaken.

    `whole` walks every day whatever its count. `stamp_anyway` is a person's word that what Vapi answers 404 for may
    be stamped, however much it is.
    """
    with (
        hold_lease(organization, stream, RunKind.RECONCILE) as lease,
        open_run(organization, stream, RunKind.RECONCILE, lease, started_by_id) as run,
        open_client(organization, Purpose.RECONCILE) as client,
    ):
        _Pass(organization, stream, client, lease, run, stamp_anyway, whole, progress).run()
    if progress:
        progress(run)
    return run


def asks_a_person(organization_ids: Iterable[int]) -> list[SyncRun]:
    """Return the last reconcile runs that wait for a person's word, one for each stream at most. One query."""
    runs = SyncRun.objects.filter(
        organization_id__in=list(organization_ids), kind=RunKind.RECONCILE, finished_at__isnull=False
    )
    newest: dict[tuple[int, str], SyncRun] = {}
    recent = runs.filter(started_at__gte=timezone.now() - timedelta(days=60))
    for run in recent.exclude(state=RunState.FAILED).select_related("organization").order_by("started_at"):
        newest[run.organization_id, run.stream] = run
    return [run for run in newest.values() if run.error.startswith(ASKS)]


class _Pass:
    """One pass over the days of one stream."""

    def __init__(
        self,
        organization: Organization,
        stream: Stream,
        client: VapiClient,
        lease: HeldLease,
        run: SyncRun,
        stamp_anyway: bool,
        whole: bool,
        progress: Progress | None,
    ) -> None:
        self.organization, self.stream, self.lease, self.ledger = organization, stream, lease, run
        self.stamp_anyway, self.whole = stamp_anyway, whole
        self.spec = STREAMS[stream]
        self.upstream = Upstream(client, self.spec, organization)
        self.days = DayComparison(
            self.upstream, organization, self.spec, run, stamp_anyway=stamp_anyway, progress=progress
        )
        # Days with rows that are gone from Vapi: nothing of them is stamped or saved before the end.
        self.held: list[Findings] = []
        self.differing: set[Slot] = set()

    def run(self) -> None:
        if not Watermark.objects.filter(
            organization=self.organization, stream=self.stream, backfilled_at__isnull=False
        ).exists():
            raise Unfinished("The first full sync has not finished: there is nothing to prove yet.")
        self.days.trusts_counts = not counts_are_doubted(
            self.organization, self.stream, timezone.now() - _DOUBT
        )
        oldest, is_surely_oldest = self.upstream.oldest()
        self.ledger.total = oldest.total_items
        # Of rows before one that may not be the oldest, each is asked for by id.
        boundary = self._learn_boundary(oldest) if is_surely_oldest else Boundary(None)
        slots = plan_slots(
            self.organization,
            self.spec.table,
            first=created_at(oldest),
            until=(told_at(oldest) or timezone.now()) + _DATE_STEP,
            walk_all=self.whole,
        )
        if not is_surely_oldest:
            # Whatever stands before it belongs to the first day.
            slots[0] = replace(slots[0], span=Span(_BEFORE_ALL, slots[0].span.end))
        slots = self._leave_out_what_is_beyond(slots, boundary)
        self.days.live = sum(slot.rows.live for slot in slots)
        try:
            self._prove(slots)
        except CountsDoNotHold as doubt:
            # What was proven by counts so far proves nothing either.
            self.days.trusts_counts, self.held, self.differing = False, [], set()
            self.days.gone, self.days.is_refused = 0, False
            self._prove(slots, doubt)
        if self.whole:
            release_nameless(self.organization, self.stream, not_seen_since=self.ledger.started_at)
        self._settle(slots, boundary)

    def _learn_boundary(self, oldest: Page) -> Boundary:
        boundary = learn_boundary(
            self.upstream,
            self.organization,
            self.spec.table,
            self.lease,
            oldest,
            stamp_anyway=self.stamp_anyway,
        )
        self._note_missing(boundary.stamped)
        return boundary

    def _leave_out_what_is_beyond(self, slots: list[Slot], boundary: Boundary) -> list[Slot]:
        """Save the days that lie whole before Vapi's retention; return the others."""
        begins_at = boundary.begins_at
        if begins_at is None:
            return slots
        beyond = [slot for slot in slots if slot.span.end <= begins_at]
        save_proofs(self.organization, self.stream, self.lease, [_beyond(slot) for slot in beyond])
        return slots[len(beyond) :]

    # Proving ---------------------------------------------------------------------------------------

    def _prove(self, slots: Sequence[Slot], doubt: CountsDoNotHold | None = None) -> None:
        trusts = self.days.trusts_counts
        for must_walk, group in groupby(slots, key=lambda slot: slot.must_walk or not trusts):
            adjacent = list(group)
            if not must_walk:
                for stretch in _stretches(adjacent, len(slots)):
                    self._count(stretch)
                continue
            for slot in adjacent:
                found = self.days.walk(slot)
                if doubt is not None and doubt.slot.day == slot.day:
                    found.note = str(doubt)
                self._keep(found)

    def _count(self, slots: Sequence[Slot]) -> None:
        """Prove adjacent days by one request, or else in halves, or else by looking into the day."""
        counted = self.upstream.count(Span(slots[0].span.start, slots[-1].span.end))
        if counted is None:
            for slot in slots:
                self._keep(self.days.walk(slot))
        elif counted == sum(slot.expected for slot in slots):
            proofs = [_by_count(slot) for slot in slots]
            save_proofs(self.organization, self.stream, self.lease, proofs)
        elif len(slots) > 1:
            middle = len(slots) // 2
            self._count(slots[:middle])
            self._count(slots[middle:])
        else:
            self._keep(self.days.narrow(slots[0], counted))

    def _keep(self, found: Findings) -> None:
        if found.gone or found.is_too_much:
            self.held.append(found)
        else:
            self._save(found, is_refused=False)

    def _save(self, found: Findings, *, is_refused: bool) -> None:
        rows = rows_of(self.organization, self.spec.table, found.slot)
        proof = proof_of(found, rows, is_refused=is_refused)
        save_proofs(self.organization, self.stream, self.lease, [proof])
        if proof.state == CoverageState.DIFFERS:
            self.differing.add(found.slot)

    # Stamping --------------------------------------------------------------------------------------

    def _settle(self, slots: Sequence[Slot], boundary: Boundary) -> None:
        """Stamp what is gone, or, where it is too much, nothing, and ask a person."""
        is_refused = not self.stamp_anyway and (
            boundary.waiting > 0
            or self.days.is_refused
            or any(is_too_much(len(found.gone), found.slot.rows.live) for found in self.held)
            or is_too_much(self.days.gone, self.days.live)
        )
        for found in self.held:
            if not is_refused:
                self._stamp(found.gone, boundary)
            self._save(found, is_refused=is_refused)
        waiting = boundary.waiting + (sum(found.absent for found in self.held) if is_refused else 0)
        if waiting:
            raise Unfinished(
                f"{ASKS}: Vapi no longer lists {waiting:,} {self.stream} that are here. So many at once are not marked "
                "as missing without a word: agree on the coverage page, or run manage.py reconcile --stamp-anyway."
            )
        # The last day is still open: rows come and go while it is read.
        left = [slot.day for slot in self.differing if slot is not slots[-1]]
        if left:
            days = ", ".join(str(day) for day in sorted(left)[:5])
            raise Unfinished(
                f"{len(left)} of {len(slots)} days still differ ({days}): see the coverage page."
            )

    def _stamp(self, gone: Sequence[Absent], boundary: Boundary) -> None:
        for start in range(0, len(gone), _AT_ONCE):
            self._stamp_some(gone[start : start + _AT_ONCE], boundary)

    def _stamp_some(self, gone: Sequence[Absent], boundary: Boundary) -> None:
        reasons = self._reasons(gone, boundary)
        for reason in set(reasons.values()):
            self._note_missing(
                self._stamp_as(reason, [absent for absent in gone if reasons[absent.remote_id] == reason])
            )

    def _stamp_as(self, reason: MissingReason, gone: Sequence[Absent]) -> int:
        rows = self.spec.table.model.objects.filter(
            organization=self.organization, missing_since__isnull=True
        )
        with self.lease.guarding():
            return sum(
                # Not a row that somebody else was given by Vapi after we asked.
                rows.filter(id=absent.remote_id, asked_at__lte=absent.asked_at).update(
                    missing_since=timezone.now(), missing_reason=reason, asked_at=absent.asked_at
                )
                for absent in gone
            )

    def _reasons(self, gone: Sequence[Absent], boundary: Boundary) -> dict[str, MissingReason]:
        told = set(
            WebhookEvent.objects.filter(
                organization=self.organization,
                kind=f"{self.spec.table.source.value}.deleted",
                remote_id__in=[absent.remote_id for absent in gone],
            ).values_list("remote_id", flat=True)
        )
        return {absent.remote_id: _reason(absent, told, boundary) for absent in gone}

    def _note_missing(self, number: int) -> None:
        if number:
            self.ledger.missing += number
            self.ledger.save(update_fields=["missing"])


def _reason(absent: Absent, told: set[str], boundary: Boundary) -> MissingReason:
    if absent.remote_id in told:
        return MissingReason.DELETED
    is_beyond = boundary.begins_at is not None and absent.created_at < boundary.begins_at
    return MissingReason.BEYOND_RETENTION if is_beyond else MissingReason.GONE


def _stretches(slots: Sequence[Slot], of: int) -> Iterator[Sequence[Slot]]:
    size = ceil(of / _STRETCHES)
    for start in range(0, len(slots), size):
        yield slots[start : start + size]


def _by_count(slot: Slot) -> Proof:
    forgotten = slot.known.forgotten_count if slot.known else 0
    return Proof(slot, slot.rows, CoverageState.PROVEN, slot.expected, forgotten)


def _beyond(slot: Slot) -> Proof:
    rows: DayRows = slot.rows
    state = CoverageState.DIFFERS if rows.live else CoverageState.BEYOND_RETENTION
    note = (
        f"Vapi no longer lists {rows.live:,} rows that are here. Nothing was marked yet." if rows.live else ""
    )
    return Proof(slot, rows, state, 0, requests=0, note=note)
