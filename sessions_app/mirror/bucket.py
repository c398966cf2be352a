"""The statements of the request budget, on both databases. Knows no purposes' ranks and does not wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.db import connection, transaction

from sessions_app.models.organizations import Organization
from sessions_app.models.requests import Budget, Purpose, RequestSlot

# What the dialects call the same: the present moment, seconds between two moments, the lesser, the greater.
_POSTGRESQL = {
    "now": "statement_timestamp()",
    "after": "statement_timestamp() + make_interval(secs => %s)",
    "since": "EXTRACT(EPOCH FROM statement_timestamp() - {0})::float8",
    "least": "LEAST",
    "greatest": "GREATEST",
    # A token or a slot lost in a crash of the server harms nobody: no wait for its disk.
    "quickly": ", set_config('synchronous_commit', 'off', true)",
}
_SQLITE = {
    "now": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')",
    "after": "strftime('%%Y-%%m-%%d %%H:%%M:%%f', julianday('now') + %s / 86400.0)",
    "since": "((julianday('now') - julianday({0})) * 86400.0)",
    "least": "MIN",
    "greatest": "MAX",
    "quickly": "",
}
_RATE = "o.requests_per_second"
_BURST = "{greatest}(4.0, o.requests_per_second)"
_CAPACITY = f"({_BURST} - 0.1 * {_RATE})"
# A statement that waited for the row may have begun before the last one filled it.
_LEVEL = f"{{least}}({_CAPACITY}, b.tokens + {{greatest}}(0.0, {{since_refill}}) * {_RATE})"
_IN_USE = "(SELECT COUNT(*) FROM {slots} s WHERE s.organization_id = o.id AND s.expires_at > {now})"

_TAKE_TOKEN = f"""
UPDATE {{budgets}} AS b
SET tokens = {_LEVEL} - 1, refilled_at = {{greatest}}(b.refilled_at, {{now}})
FROM {{organizations}} o
WHERE o.id = %s AND b.organization_id = o.id
  AND (b.cool_down_until IS NULL OR b.cool_down_until <= {{now}})
  AND {_LEVEL} >= 1 + %s * {_BURST}
RETURNING tokens{{quickly}}
"""  # noqa: S608 - our own tables' names and parts of statements that stand in this module
_TAKE_SLOT = f"""
INSERT INTO {{slots}} (organization_id, purpose, expires_at)
SELECT o.id, %s, {{after}} FROM {{organizations}} o
WHERE o.id = %s AND {_IN_USE} < {{greatest}}(1, o.concurrent_requests - %s)
RETURNING id
"""  # noqa: S608 - as above
_LOOK = f"""
SELECT {_LEVEL}, {_BURST}, {_CAPACITY}, {_RATE}, {_IN_USE}, o.concurrent_requests,
       CASE WHEN b.cool_down_until > {{now}} THEN -({{since_cool_down}}) ELSE 0.0 END
FROM {{budgets}} b JOIN {{organizations}} o ON o.id = b.organization_id
WHERE o.id = %s
"""  # noqa: S608 - as above
_OPEN = f"""
INSERT INTO {{budgets}} (organization_id, tokens, refilled_at)
SELECT o.id, {_CAPACITY}, {{now}} FROM {{organizations}} o WHERE o.id = %s
ON CONFLICT (organization_id) DO NOTHING
"""  # noqa: S608 - as above
_COOL_DOWN = """
UPDATE {budgets} SET cool_down_until = {after}
WHERE organization_id = %s AND (cool_down_until IS NULL OR cool_down_until < {after})
"""
_GIVE_BACK = "DELETE FROM {slots} WHERE id = %s"


@dataclass(frozen=True)
class Level:
    """How a bucket stands: tokens, slots and, after a 429, the seconds until anybody may ask again."""

    tokens: float
    burst: float
    capacity: float
    rate: float
    slots_in_use: int
    slots: int
    cool_down_seconds: float


@dataclass(frozen=True)
class Refusal:
    """Why nothing was taken. `wait_seconds`: when to look again; 0 where a slot is lacking."""

    cool_down_seconds: float
    wait_seconds: float


class _NoSlot(Exception):
    """Undoes the taking of the token."""


def take(
    organization_id: int, purpose: Purpose, floor: float, spare_slots: int, slot: timedelta
) -> int | Refusal:
    """Take a token and a slot, which is returned, in one transaction; or say what is lacking.

    `floor` is the share of the burst that must be left over, `spare_slots` how many slots.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_sql(_TAKE_TOKEN), [organization_id, floor])
            if cursor.fetchone():
                # The bucket's row is locked until the commit, so nobody else counts slots meanwhile.
                cursor.execute(
                    _sql(_TAKE_SLOT), [purpose, slot.total_seconds(), organization_id, spare_slots]
                )
                if found := cursor.fetchone():
                    return int(found[0])
                raise _NoSlot
    except _NoSlot:
        return Refusal(0, 0)
    return _refusal(look(organization_id), floor)


def look(organization_id: int) -> Level:
    """Return how the bucket stands; one that is not there yet is opened, full."""
    with connection.cursor() as cursor:
        cursor.execute(_sql(_LOOK), [organization_id])
        found = cursor.fetchone()
        if found is None:
            cursor.execute(_sql(_OPEN), [organization_id])
            cursor.execute(_sql(_LOOK), [organization_id])
            found = cursor.fetchone()
    if found is None:
        raise Organization.DoesNotExist
    tokens, burst, capacity, rate, in_use, slots, cool_down = found
    return Level(tokens, burst, capacity, rate, in_use, slots, float(cool_down))


def cool_down(organization_id: int, seconds: float) -> None:
    """Let nobody ask for so long; a longer cool-down that is under way stays."""
    with connection.cursor() as cursor:
        cursor.execute(_sql(_COOL_DOWN), [seconds, organization_id, seconds])


def give_back(slot: int) -> None:
    """Free the slot."""
    with connection.cursor() as cursor:
        cursor.execute(_sql(_GIVE_BACK), [slot])


def _refusal(level: Level, floor: float) -> Refusal:
    lacking = 1 + floor * level.burst - level.tokens
    wait = max(level.cool_down_seconds, lacking / level.rate, 0.001)
    return Refusal(level.cool_down_seconds, wait)


@cache
def _sql_of(vendor: str, statement: str) -> str:
    words = _SQLITE if vendor == "sqlite" else _POSTGRESQL
    tables = {
        "budgets": Budget._meta.db_table,
        "slots": RequestSlot._meta.db_table,
        "organizations": Organization._meta.db_table,
    }
    since = {
        "since_refill": words["since"].format("b.refilled_at"),
        "since_cool_down": words["since"].format("b.cool_down_until"),
    }
    return statement.format(**words, **tables, **since)


def _sql(statement: str) -> str:
    return _sql_of(connection.vendor, statement)
