"""What the workers do with a bulk edit, one after the other."""

from __future__ import annotations

from sessions_app.edits import bulk as bulks
from sessions_app.edits.push import push_edit
from sessions_app.models import BulkEdit


def work(found: BulkEdit) -> None:
    """Do what the workers would, until nothing is left to do at once."""
    while bulks.advance(found.pk):
        pass
    for lane in range(bulks.LANES):
        while due := bulks.due_in_lane(found.pk, lane):
            for edit_id in due:
                push_edit(edit_id)
            if not bulks.came_forward(due):
                break
    bulks.finish(found.pk)
    found.refresh_from_db()
