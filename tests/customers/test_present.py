"""How a customer reads."""

from __future__ import annotations

import pytest

from sessions_app.customers.present import format_number, present_customer
from sessions_app.models import Session


def test_a_name_is_the_title_and_the_rest_stands_below() -> None:
    session = Session(
        customer_name="Ann Müller", customer_number="+4915123456789", customer_email="a@b.example"
    )
    customer = present_customer(session)
    assert customer.title == "Ann Müller"
    assert customer.lines == ["+49 1512 3456789", "a@b.example"]
    assert not customer.is_anonymous


def test_without_a_name_the_number_is_the_title() -> None:
    customer = present_customer(Session(customer_number="+4915123456789"))
    assert customer.title == "+49 1512 3456789"
    assert customer.lines == []


def test_nothing_known_is_anonymous() -> None:
    customer = present_customer(Session(customer_name="  "))
    assert customer.title == "Anonymous"
    assert customer.is_anonymous


@pytest.mark.parametrize("number", ["", "anonymous", "112", "+1", "+999123456789012345", "sip:x@y"])
def test_what_is_no_international_number_stays_as_it_came(number: str) -> None:
    assert format_number(number) == number
