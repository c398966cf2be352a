"""Fills a database with made-up rows by its own statements: a million sessions in minutes. For measuring pages.

What is written looks to lists and searches as what a sync writes; it goes past the writer, so never into a
database that is in use.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from django.db import connection
from django.db.models import NOT_PROVIDED, Model

from sessions_app.models import (
    Chat,
    CostLine,
    Edit,
    EditTransition,
    Organization,
    QuarantinedRecord,
    SearchText,
    Session,
    SyncRun,
    WebhookEvent,
)

# The share of sessions in which each of these words occurs: one in so many.
COMMON_WORDS = {"everywhere": 1, "often": 10, "sometimes": 100, "seldom": 500}
# A word of the oldest tenth alone: what is worst for a list that begins with the newest.
OLD_WORD = "formerly"
_TEXTS, _WORDS_IN_TEXT, _VOCABULARY = 1000, 60, 5000
_NEWEST = "2026-06-30 12:00:00"
_SECONDS_APART = 25
_STATUSES = "CASE n % 10 WHEN 0 THEN 'active' WHEN 1 THEN 'ended' ELSE 'completed' END"


def fill(sessions: int) -> None:
    """Make two organizations' sessions (one has a fifth of them), each with words, a number and two cost lines.

    Every second session has a chat; every tenth an edit with two changes of state; every second was announced by a
    server message. Times are distinct; numbers of customers are shared by five sessions each.
    """
    large, small = (
        Organization.objects.create(slug=slug, name=slug.title(), is_sandbox=True)
        for slug in ("bench", "bench-small")
    )
    organization = f"CASE n % 5 WHEN 0 THEN {small.pk} ELSE {large.pk} END"
    mirrored = {"organization_id": organization, **_mirrored()}
    _insert(Session, sessions, mirrored | _session())
    chat = {"id": "'chat-' || (10000000 + n)", "session_id": _id("n * 2")}
    _insert(Chat, sessions // 2, mirrored | chat)
    _insert(CostLine, sessions * 2, {"organization_id": organization, **_line()})
    _fill_words(sessions, organization)
    _fill_suffixes(sessions // 5)
    _fill_work(sessions, organization)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            cursor.execute("VACUUM")


def _id(n: str = "n") -> str:
    """A session's id: in no order of time, as Vapi's are."""
    return f"(10000000 + ({n}) * 7919 % 89999999) || '-session-' || ({n})"


def _moment(seconds: str) -> str:
    if connection.vendor == "postgresql":
        return f"(timestamptz '{_NEWEST}+00' - ({seconds}) * interval '1 second')"
    return f"datetime('{_NEWEST}', (-({seconds})) || ' seconds')"


def _mirrored() -> dict[str, str]:
    created, updated = _moment(f"n * {_SECONDS_APART}"), _moment(f"n * {_SECONDS_APART} - n % 3000")
    return {
        "name": "'Booking ' || (n % 50000)",
        "assistant_id": "'assistant-' || (n % 23)",
        "cost_usd": "CASE WHEN n % 50 = 0 THEN NULL ELSE n * 104729 % 900000007 * 1000 END",
        "itemized_cost_usd": "n * 104729 % 900000007 * 1000",
        "message_count": "n % 60",
        "failed_tool_count": "CASE WHEN n % 200 = 0 THEN 1 ELSE 0 END",
        "created_at": created,
        "updated_at": updated,
        "asked_at": updated,
        "synced_at": updated,
        "missing_since": f"CASE WHEN n % 1000 = 7 THEN {updated} END",
    }


def _session() -> dict[str, str]:
    return {
        "id": _id(),
        "status": _STATUSES,
        "expires_at": _moment(f"n * {_SECONDS_APART} - 86400"),
        "idle_expires_at": _moment(f"n * {_SECONDS_APART} - n % 3000 - 86400"),
        "phone_number_id": "'phone-' || (n % 7)",
        "customer_number": f"'+' || {_digits('n / 5')}",
        "customer_digits": _digits("n / 5"),
        "customer_name": "'Person ' || (n / 5)",
        "customer_email": "'person' || (n / 5) || '@example.test'",
        "customer_external_id": "'external-' || (n / 5)",
    }


def _digits(n: str) -> str:
    return f"'49151' || (10000000 + ({n}) * 7919 % 89999999)"


def _line() -> dict[str, str]:
    session = _id("(n + 1) / 2")
    return {
        "id": f"'session:' || {session} || ':' || (n % 2)",
        "source": "'session'",
        "parent_id": session,
        "session_id": session,
        "position": "n % 2",
        "kind": "CASE n % 2 WHEN 0 THEN 'model' ELSE 'transport' END",
        "provider": "'provider-' || (n % 3)",
        "model": "'model-' || (n % 11)",
        "assistant_id": "'assistant-' || (n % 23)",
        "phone_number_id": "'phone-' || (n % 7)",
        "cost_usd": "n * 104729 % 900000007 * 500",
        "occurred_at": _moment(f"(n + 1) / 2 * {_SECONDS_APART}"),
    }


def _fill_words(sessions: int, organization: str) -> None:
    """Index each session's words: one of some texts, a word of its own, and the common ones."""
    tagged = ":1" if connection.vendor == "postgresql" else ""
    common = "".join(
        f" || CASE WHEN n % {every} = 0 THEN ' {word}{tagged}' ELSE '' END"
        for word, every in COMMON_WORDS.items()
    )
    old = f" || CASE WHEN n > {sessions} * 9 / 10 THEN ' {OLD_WORD}{tagged}' ELSE '' END"
    said = f"(SELECT words FROM made_text WHERE id = n % {_TEXTS}) || ' own' || n || 'x{tagged}'{common}{old}"  # noqa: S608 - our own
    labels = "'booking person' || (n / 5)"
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE made_text (id integer PRIMARY KEY, words text)")
        cursor.executemany("INSERT INTO made_text VALUES (%s, %s)", list(enumerate(_texts(tagged))))
    place = {
        "organization_id": organization,
        "source": "'session'",
        "parent_id": _id(),
        "session_id": _id(),
    }
    if connection.vendor == "postgresql":
        _insert(SearchText, sessions, place | {"words": f"({labels} || ':1A ' || {said})::tsvector"})
        return
    _insert(SearchText, sessions, {"id": "n", **place})
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT OR REPLACE INTO sessions_app_searchwords (rowid, labels, said) SELECT n, {labels}, {said}"  # noqa: S608 - our own statement
            f" FROM {_numbers(sessions)}"
        )


def _texts(tagged: str) -> list[str]:
    """Texts whose words are as unevenly common as in speech."""
    chance = random.Random(1)  # noqa: S311 - the same texts every time
    shares = [1 / (place + 1) for place in range(_VOCABULARY)]
    return [
        " ".join(
            sorted(
                {
                    f"word{number}{tagged}"
                    for number in chance.choices(range(_VOCABULARY), shares, k=_WORDS_IN_TEXT)
                }
            )
        )
        for _ in range(_TEXTS)
    ]


def _fill_suffixes(numbers: int) -> None:
    """Remember the customers' numbers by every suffix of three digits and more."""
    digits = f"{_digits('n')}"
    with connection.cursor() as cursor:
        for length in range(3, 14):
            end = f"substr({digits}, {14 - length})"
            cursor.execute(
                f"INSERT INTO sessions_app_numbersuffix (suffix, digits) SELECT DISTINCT {end}, {digits}"  # noqa: S608 - our own statement
                f" FROM {_numbers(numbers)}"
            )


def _fill_work(sessions: int, organization: str) -> None:
    """Fill what people and machines left behind: edits and their audit, server messages, quarantine, runs."""
    at = _moment(f"n * {_SECONDS_APART}")
    owned = {"organization_id": organization}
    # A handful are open, as in daily life; most are done.
    state = "CASE n % 10000 WHEN 1 THEN 'conflict' WHEN 2 THEN 'failed' ELSE 'applied' END"
    edit = {"session_id": _id("n * 10"), "state": state, "created_at": at, "submission_key": _uuid()}
    fields = {"base": '\'{"name": "a"}\'', "fields": '\'{"name": "b"}\'', "source": "'admin'"}
    _insert(Edit, sessions // 10, owned | edit | _as_json(fields, "base", "fields"))
    first = Edit.objects.order_by("pk").values_list("pk", flat=True)[0]
    transition = {
        "edit_id": f"{first} + n % {sessions // 10}",
        "state": "CASE n % 3 WHEN 0 THEN 'queued' WHEN 1 THEN 'sending' ELSE 'applied' END",
        "actor": "'person' || (n % 40)",
        "request_id": "'request-' || n",
        "happened_at": at,
    }
    _insert(EditTransition, sessions // 10 * 3, owned | transition)
    kinds = "CASE n % 3 WHEN 0 THEN 'session.created' WHEN 1 THEN 'session.updated' ELSE 'chat.created' END"
    event = {
        "digest": "'digest-' || n",
        "kind": kinds,
        "remote_id": _id("n * 2"),
        "assistant_id": "'assistant-' || (n % 23)",
        "state": "CASE WHEN n % 10000 = 1 THEN 'failed' ELSE 'processed' END",
        "received_at": at,
    }
    _insert(WebhookEvent, sessions // 2, owned | event)
    stream = {"stream": "'sessions'"}
    record = {"remote_id": "'odd-' || n", "reason": "'createdAt: absent'", "first_seen_at": at}
    _insert(QuarantinedRecord, sessions // 10, owned | stream | record | {"last_seen_at": at})
    run = {"kind": "'incremental'", "state": "'succeeded'", "started_at": at, "finished_at": at}
    _insert(SyncRun, sessions // 5, owned | stream | run)


def _uuid() -> str:
    if connection.vendor == "postgresql":
        return "gen_random_uuid()"
    return "lower(hex(randomblob(16)))"


def _as_json(values: Mapping[str, str], *columns: str) -> dict[str, str]:
    cast = "::jsonb" if connection.vendor == "postgresql" else ""
    return {name: value + (cast if name in columns else "") for name, value in values.items()}


def _insert(model: type[Model], count: int, values: Mapping[str, str]) -> None:
    """Insert `count` rows whose columns are expressions in n, from 1 on; the others take their defaults."""
    table = model._meta.db_table
    columns = {**_defaults(model), **values}
    names = ", ".join(f'"{name}"' for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({names}) SELECT {", ".join(columns.values())} FROM {_numbers(count)}'  # noqa: S608 - our own statement
        )


def _numbers(count: int) -> str:
    if connection.vendor == "postgresql":
        return f"generate_series(1::bigint, {count}) AS numbers(n)"
    return (
        f"(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"  # noqa: S608 - our own
        " SELECT n FROM numbers) AS numbers"
    )


def _defaults(model: type[Model]) -> dict[str, str]:
    """Return the columns that have a default, as literals of the database."""
    found: dict[str, str] = {}
    for field in model._meta.concrete_fields:
        if field.primary_key or (field.default is NOT_PROVIDED and not field.null):
            continue
        found[field.attname] = _literal(field.get_default(), is_json=field.get_internal_type() == "JSONField")
    return found


def _literal(value: Any, *, is_json: bool) -> str:
    if is_json:
        return _as_json({"": f"'{json.dumps(value)}'"}, "")[""]
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f"'{value}'"
