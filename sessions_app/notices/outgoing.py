"""Owns how a notice leaves: by HTTP with time-outs, without redirects, to permitted addresses; or by e-mail.

Every error is told in words of our own: those of the libraries quote the address, which is a secret.
"""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Callable, Mapping

import requests
from django.conf import settings
from django.core.mail import EmailMessage
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from sessions_app.models import Delivery
from sessions_app.models.notices import ChannelKind
from sessions_app.notices import formats
from sessions_app.notices.addresses import check_webhook, may_connect
from sessions_app.notices.words import words_of
from sessions_app.vapi.transport import retry_after_seconds

# To connect, and to wait for the first byte of an answer.
TIMEOUT = (5, 10)
_SLOW_DOWN = 429
GONE = 410


class NotSent(Exception):
    """A notice did not go through; says why in words for people.

    `is_receivers`: the receiver is out of order or asks for patience, so that nothing else need be tried there now.
    """

    def __init__(
        self,
        words: str,
        status: int | None = None,
        retry_after: float | None = None,
        *,
        is_receivers: bool = True,
    ) -> None:
        super().__init__(words)
        self.status = status
        self.retry_after = retry_after
        self.is_receivers = is_receivers


class _NotPermitted(OSError):
    """The name leads to an address that no notice may go to."""


def send(delivery: Delivery) -> int | None:
    """Send a delivery through its channel, once. Returns the HTTP status, None for an e-mail. Raises NotSent."""
    kind = ChannelKind(delivery.channel.kind)
    if kind == ChannelKind.EMAIL:
        _mail(delivery)
        return None
    return _post(delivery.channel.address, *_HTTP[kind](delivery))


def _slack(delivery: Delivery) -> tuple[bytes, Mapping[str, str]]:
    return formats.slack_body(delivery.notice), {}


def _teams(delivery: Delivery) -> tuple[bytes, Mapping[str, str]]:
    return formats.teams_body(delivery.notice), {}


def _webhook(delivery: Delivery) -> tuple[bytes, Mapping[str, str]]:
    body = formats.webhook_body(delivery.notice)
    return body, formats.signature_headers(delivery, body, delivery.channel.secret)


_HTTP: dict[ChannelKind, Callable[[Delivery], tuple[bytes, Mapping[str, str]]]] = {
    ChannelKind.SLACK: _slack,
    ChannelKind.TEAMS: _teams,
    ChannelKind.WEBHOOK: _webhook,
}


# HTTP ------------------------------------------------------------------------------------------------


def _post(address: str, body: bytes, headers: Mapping[str, str]) -> int:
    check_webhook(address)
    with _session() as session:
        try:
            answer = session.post(
                address,
                data=body,
                headers={"Content-Type": "application/json", **headers},
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,  # The answer's body is not read: nobody wants it, and it may have no end.
            )
        except requests.RequestException as error:
            raise NotSent(_in_words(error)) from None
        status, after = answer.status_code, retry_after_seconds(answer.headers)
        answer.close()
    if 200 <= status < 300:
        return status
    if 300 <= status < 400:
        raise NotSent(f"Answered {status}: redirects are not followed.", status, is_receivers=False)
    raise NotSent(f"Answered {status}.", status, after, is_receivers=status >= 500 or status == _SLOW_DOWN)


def _session() -> requests.Session:
    session = requests.Session()
    # No .netrc and no proxy of the environment: nothing is sent along, and the addresses are looked at here.
    session.trust_env = False
    session.headers["User-Agent"] = "vapiadmin"
    for scheme in ("https://", "http://"):
        session.mount(scheme, _GuardedAdapter(max_retries=0))
    return session


def _in_words(error: requests.RequestException) -> str:
    if _NotPermitted in _causes(error):
        return "Not sent: the address is private. NOTICE_PRIVATE_HOSTS can allow it."
    if isinstance(error, requests.exceptions.SSLError):
        return "No secure connection: the certificate is not accepted."
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "Could not be reached in time."
    if isinstance(error, requests.exceptions.Timeout):
        return "No answer in time."
    return "Could not be reached."


def _causes(error: BaseException | None) -> set[type[BaseException]]:
    """The kinds of an error and of all that brought it."""
    found: set[type[BaseException]] = set()
    while error is not None:
        found.add(type(error))
        error = error.__cause__ or error.__context__
    return found


def _connect(connection: HTTPConnection) -> socket.socket:
    """Connect to what the name leads to now, if all of it is permitted."""
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NameResolutionError(connection.host, connection, socket.gaierror("unknown")) from error
    addresses = [str(entry[4][0]) for entry in found]
    try:
        if not all(may_connect(connection.host, address) for address in addresses):
            raise _NotPermitted
        return create_connection(
            (addresses[0], connection.port),
            connection.timeout,
            source_address=connection.source_address,
            socket_options=connection.socket_options,
        )
    except OSError as error:
        raise NewConnectionError(connection, "no connection") from error


class _GuardedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _GuardedSecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(self)


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedSecurePool(HTTPSConnectionPool):
    ConnectionCls = _GuardedSecureConnection


class _GuardedAdapter(HTTPAdapter):
    """Makes connections to permitted addresses only."""

    def init_poolmanager(self, *args: object, **options: object) -> None:
        super().init_poolmanager(*args, **options)  # type: ignore[arg-type]  # passed through as they came
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedSecurePool}


# E-mail ----------------------------------------------------------------------------------------------


def _mail(delivery: Delivery) -> None:
    if not settings.EMAIL_IS_SET_UP:
        raise NotSent("E-mail is not set up here: EMAIL_URL.")
    words, message_id = words_of(delivery.notice), formats.message_id_of(delivery)
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">")
    message = EmailMessage(
        f"[vapiadmin] {' '.join(words.title.split())}",
        formats.mail_text(words),
        to=[delivery.channel.address],
        headers={"Message-ID": f"<{message_id}@{host}>", "Auto-Submitted": "auto-generated"},
    )
    try:
        message.send()
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"The mail server refused ({error.smtp_code}).") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("The mail server refused the recipient.", is_receivers=False) from None
    except (smtplib.SMTPException, OSError):
        raise NotSent("The mail server could not be used.") from None
