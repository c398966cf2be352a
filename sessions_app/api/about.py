"""What the OpenAPI document says of all of REST. Settings read it, so it imports nothing."""

from __future__ import annotations

DESCRIPTION = """\
Mirrored Vapi sessions, chats and costs, without a load on Vapi.

**Tokens.** Send `Authorization: Bearer TOKEN`. "API tokens" in the browser or `manage.py create_api_token` makes one.
Each operation names the scope that it needs. In the browser your own rights hold.

**Lists** answer `{"results": [...], "next": URL, "previous": URL}`: follow `next` until it is null. `limit` is 100 if
you name none, 1,000 at most. A parameter that is not known is a 400. Times are ISO 8601 with a zone; a day alone is
all of that day, in the server's time zone.

**Amounts** are exact decimal strings in US dollars; sessions and chats are never added up.

**Corrections** are edits on their way to Vapi: each is answered by 202 and the edit, whose `state` says what becomes of
it. Send `If-Match` with the ETag of what you have read, and an `Idempotency-Key` (a UUID): a request that is sent twice
is then done once.

**Errors** are JSON: `{"detail": "..."}`, or by name what is wrong with each parameter or field.
"""
# By the first part of an operation's path.
TAGS = {
    "sessions": "Sessions",
    "chats": "Chats",
    "costs": "Costs",
    "edits": "Edits",
    "bulk-edits": "Bulk edits",
    "legal-holds": "Legal holds",
    "coverage": "Mirror",
    "sync-runs": "Mirror",
}
