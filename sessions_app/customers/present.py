"""The one place that presents a customer: whatever is to be masked one day is masked here. Knows no face."""

from __future__ import annotations

from dataclasses import dataclass

import phonenumbers

from sessions_app.models import Session

ANONYMOUS = "Anonymous"


@dataclass(frozen=True)
class Customer:
    """A customer as people read one; '' for what is not known.

    `title` is the best name there is; `number` is written the way people write it.
    """

    title: str
    name: str
    number: str
    email: str
    external_id: str
    sip_uri: str
    # Vapi's own id of a stored customer.
    customer_id: str
    is_anonymous: bool

    @property
    def lines(self) -> list[str]:
        """What is known beside the title, the most telling first."""
        known = (self.number, self.email, self.external_id, self.sip_uri)
        return [line for line in known if line and line != self.title]


def present_customer(session: Session) -> Customer:
    """Return the customer of a session."""
    number = format_number(session.customer_number)
    names = (
        session.customer_name,
        number,
        session.customer_email,
        session.customer_external_id,
        session.customer_sip_uri,
        session.customer_id,
    )
    title = next((name.strip() for name in names if name.strip()), "")
    return Customer(
        title=title or ANONYMOUS,
        name=session.customer_name,
        number=number,
        email=session.customer_email,
        external_id=session.customer_external_id,
        sip_uri=session.customer_sip_uri,
        customer_id=session.customer_id,
        is_anonymous=not title,
    )


def format_number(number: str) -> str:
    """Return a number in international form; as it came where it is none (a short code, a name)."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    if not phonenumbers.is_possible_number(parsed):
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
