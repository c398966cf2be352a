"""Bulk edits: one change for many sessions, queued in portions and pushed in lanes, each as an ordinary edit.

The BulkEdit row is the queue. What was chosen is kept as ids, so that what was previewed is what is done, whatever the
filter finds by then.
"""

from sessions_app.edits.bulk.choosing import (
    MOST_SESSIONS,
    WORD,
    DryRun,
    NothingChosen,
    check_change,
    check_fields,
    check_typed,
    choose,
    dry_run,
    preview,
)
from sessions_app.edits.bulk.counts import count_states, count_states_of, newest_edits
from sessions_app.edits.bulk.decisions import (
    BulkMoved,
    Who,
    approve,
    cancel,
    confirm,
    go_on,
    may_decide,
    needs_approval,
    pause,
    refuse,
    undo,
)
from sessions_app.edits.bulk.plans import EXTEND, request_of
from sessions_app.edits.bulk.retrying import retry_failed
from sessions_app.edits.bulk.work import (
    LANES,
    NOT_IN_LANES,
    advance,
    came_forward,
    due_bulks,
    due_in_lane,
    finish,
)

__all__ = [
    "EXTEND",
    "LANES",
    "MOST_SESSIONS",
    "NOT_IN_LANES",
    "WORD",
    "BulkMoved",
    "DryRun",
    "NothingChosen",
    "Who",
    "advance",
    "approve",
    "came_forward",
    "cancel",
    "check_change",
    "check_fields",
    "check_typed",
    "choose",
    "confirm",
    "count_states",
    "count_states_of",
    "dry_run",
    "due_bulks",
    "due_in_lane",
    "finish",
    "go_on",
    "may_decide",
    "needs_approval",
    "newest_edits",
    "pause",
    "preview",
    "refuse",
    "request_of",
    "retry_failed",
    "undo",
]
