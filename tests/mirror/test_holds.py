"""Legal holds: what they keep, also of what comes later, and the trail that stays when they are released."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction

from sessions_app.mirror.erasing import request_erasure, run_erasure
from sessions_app.mirror.forgetting import forget_rows, prune_retained
from sessions_app.mirror.holds import extend_holds, holds_on, release_hold, set_hold
from sessions_app.mirror.tables import SESSIONS
from sessions_app.models import Erasure, HeldSession, LegalHold, Organization, Session, WebhookEvent
from sessions_app.models.forgetting import ForgottenReason
from tests.admin.rows import START, mirror_chat, mirror_session
from tests.mirror.locks import wait_until_it_waits
from tests.sandbox_process import SandboxProcess

pytestmark = pytest.mark.django_db
ADA: dict[str, Any] = {"number": "+49 151 999-88877", "email": "Ada@example.org", "externalId": "x-17"}


def hold_ada(organization: Organization, by: str = "number", value: str = "+4915199988877") -> LegalHold:
    return set_hold(organization, by, value, "a case", "Grace")


def erase_ada(organization: Organization, **options: Any) -> Erasure:
    asked = {"by": "email", "value": "ada@example.org", "at_vapi": False, **options}
    erasure = request_erasure(organization, asked["by"], asked["value"], "asked", at_vapi=asked["at_vapi"])
    ended = run_erasure(erasure.pk)
    assert ended is not None
    return ended


@pytest.mark.parametrize(
    ("by", "value"), [("number", "+4915199988877"), ("email", "ADA@example.org"), ("external_id", "x-17")]
)
def test_a_customers_sessions_are_kept_also_those_that_come_later(
    organization: Organization, by: str, value: str
) -> None:
    for session_id, customer in (("theirs", ADA), ("another's", {"number": "+4930123"})):
        mirror_session(organization, session_id, customer=customer)
    hold = hold_ada(organization, by, value)
    assert list(hold.held.values_list("session_id", flat=True)) == ["theirs"]
    mirror_session(organization, "later", customer=ADA)
    mirror_chat(organization, "of-theirs", sessionId="later")
    Organization.objects.update(row_retention_days=1)

    prune_retained()

    assert set(Session.objects.values_list("pk", flat=True)) == {"theirs", "later"}


def test_a_session_is_kept_by_each_of_its_holds(organization: Organization) -> None:
    session = mirror_session(organization, "theirs", customer=ADA)
    Organization.objects.update(row_retention_days=1)
    of_session, of_customer = (
        set_hold(organization, "session", "theirs", "one", "Grace"),
        hold_ada(organization),
    )
    assert set(holds_on(LegalHold.objects.all(), session)) == {of_session, of_customer}

    assert release_hold(of_customer, "settled", "Linus")
    prune_retained()
    assert Session.objects.exists()
    assert not release_hold(of_customer, "again", "Linus")

    release_hold(of_session, "settled too", "Linus")
    prune_retained()
    assert not Session.objects.exists()
    of_customer.refresh_from_db()
    trail = (of_customer.set_by, of_customer.reason, of_customer.released_by, of_customer.release_reason)
    assert trail == ("Grace", "a case", "Linus", "settled")
    assert not HeldSession.objects.exists()


def test_a_session_that_came_since_is_told_as_held_at_once(organization: Organization) -> None:
    hold = hold_ada(organization)
    session = mirror_session(organization, "later", customer=ADA)
    assert holds_on(LegalHold.objects.all(), session) == [hold]
    assert holds_on(LegalHold.objects.all(), mirror_session(organization, "another's")) == []


def test_an_erasure_refuses_what_is_held_and_says_so(organization: Organization) -> None:
    mirror_session(organization, "held", customer=ADA)
    mirror_session(organization, "free", customer=ADA)
    hold = set_hold(organization, "session", "held", "a case", "Grace")

    erasure = erase_ada(organization)

    assert (erasure.state, erasure.erased_here) == ("partial", 1)
    assert erasure.note == f"1 session stays: legal hold {hold.pk}."
    assert Session.objects.get().pk == "held"


def test_of_a_held_customer_nothing_is_erased_neither_here_nor_at_vapi(
    sandbox: SandboxProcess, organization: Organization
) -> None:
    session_id = sandbox.truth()[0]["id"]
    sandbox.change("sessions", session_id, {"customer": ADA})
    hold = hold_ada(organization, "email", "ada@EXAMPLE.org")
    body = '{"customer":{"email":"ada@example.org","number":"+4915199988877"}}'
    WebhookEvent.objects.create(organization=organization, digest="d", body_json=body, received_at=START)

    erasure = erase_ada(organization, at_vapi=True)

    assert (erasure.state, erasure.note) == (
        "partial",
        f"Nothing was erased: legal hold {hold.pk} keeps this customer.",
    )
    # Asked for by another of their names: what is only at Vapi or in the inbox stays too.
    assert erase_ada(organization, by="number", value=ADA["number"], at_vapi=True).erased_at_vapi == 0
    assert not sandbox.journal("DELETE")
    assert WebhookEvent.objects.get().body_json == body


def test_an_erasure_takes_the_customer_out_of_released_holds(organization: Organization) -> None:
    mirror_session(organization, "theirs", customer=ADA)
    holds = [hold_ada(organization), set_hold(organization, "session", "theirs", "Ada's case", "Grace")]
    for hold in holds:
        release_hold(hold, "Ada agreed", "Linus")

    assert erase_ada(organization).state == "done"

    for hold in holds:
        hold.refresh_from_db()
        assert (hold.value, hold.reason, hold.release_reason) == ("", "", "")
        assert (hold.set_by, hold.released_by) == ("Grace", "Linus")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"value": " "}, "value"),
        ({"value": "unknown"}, "value"),
        ({"value": "\x00"}, "value"),
        ({"by": "name"}, "by"),
    ],
)
def test_what_is_not_understood_is_refused(
    organization: Organization, asked: dict[str, str], field: str
) -> None:
    mirror_session(organization, "s")
    with pytest.raises(ValidationError) as refused:
        set_hold(organization, **{"by": "session", "value": "s", "reason": "a case", "who": "Grace", **asked})
    assert list(refused.value.message_dict) == [field]
    assert not LegalHold.objects.exists()


def test_another_organizations_session_cannot_be_held(organization: Organization) -> None:
    mirror_session(organization, "s")
    other = Organization.objects.create(slug="other", name="Other", is_sandbox=True)
    with pytest.raises(ValidationError):
        set_hold(other, "session", "s", "a case", "Grace")
    mirror_session(organization, "theirs", customer=ADA)
    hold_ada(other)
    extend_holds(other)
    assert not HeldSession.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="one writer at a time")
def test_a_hold_that_is_set_while_rows_go_keeps_what_is_left(organization: Organization) -> None:
    """The session is locked by the hold when pruning comes to it: pruning waits, and finds it held."""
    mirror_session(organization, "theirs", customer=ADA)
    gone: list[int] = []

    def prune() -> None:
        gone.append(forget_rows(organization, SESSIONS, ["theirs"], ForgottenReason.PRUNED))
        connection.close()

    with transaction.atomic():
        hold_ada(organization)
        pruning = threading.Thread(target=prune)
        pruning.start()
        wait_until_it_waits(pruning)
    pruning.join()
    assert gone == [0]
    assert Session.objects.exists()
