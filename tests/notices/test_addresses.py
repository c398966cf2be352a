"""Where notices may be sent: https to the outside; whatever a name leads to when the connection is made."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from sessions_app.models import Channel, Delivery
from sessions_app.notices.addresses import check_webhook, may_connect
from sessions_app.notices.causes import make_test
from sessions_app.notices.delivering import deliver


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.com/services/T0/B0/x",
        "https://8.8.8.8/hook",
        "https://example.com:8443/hook?code=1",
        "http://127.0.0.1:9000/hook",
        "http://localhost/hook",
    ],
)
def test_taken_on_a_machine_of_ones_own(address: str) -> None:
    check_webhook(address)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "Enter an address"),
        ("hooks.example.com/x", "Enter an address"),
        ("https://", "Enter an address"),
        ("https://user:pass@example.com/", "Enter an address"),
        ("https://example.com:99999/", "Enter an address"),
        ("https://exa mple.com/", "Enter an address"),
        ("https://example.com/\u00e9", "Enter an address"),
        ("http://example.com/hook", "https only"),
        ("ftp://example.com/hook", "https only"),
        ("file:///etc/passwd", "Enter an address"),
        ("https://10.0.0.1/", "private"),
        ("https://192.168.1.1/", "private"),
        ("https://169.254.169.254/latest/meta-data/", "private"),
        ("https://0.0.0.0/", "private"),
        ("https://[fd00::1]/", "private"),
        ("https://[::ffff:10.0.0.1]/", "private"),
        ("https://[64:ff9b::a00:1]/", "private"),
        ("https://224.0.0.1/", "private"),
    ],
)
def test_refused(address: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check_webhook(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1/hook", "https://127.0.0.1/hook", "https://[::1]/hook"])
def test_a_server_sends_nothing_to_itself(address: str, settings: Settings) -> None:
    settings.DEVELOPMENT = False
    with pytest.raises(ValidationError):
        check_webhook(address)


def test_hosts_inside_can_be_named(settings: Settings) -> None:
    settings.NOTICE_PRIVATE_HOSTS = ["chat.internal", "10.0.0.1"]
    check_webhook("https://10.0.0.1/hook")
    assert may_connect("Chat.Internal", "10.0.0.7")
    assert not may_connect("other.internal", "10.0.0.7")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine that nobody may be sent to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.mark.django_db(transaction=True)
def test_a_name_that_leads_inside_is_not_connected_to(
    make_channel: Callable[..., Channel], listener: socket.socket, settings: Settings
) -> None:
    """`localhost` is a name as any other here: what counts is where it leads."""
    settings.DEVELOPMENT = False
    channel = make_channel(address=f"https://localhost:{listener.getsockname()[1]}/hook")
    check_webhook(channel.address)

    deliver(make_test(channel).pk)

    assert "the address is private" in Delivery.objects.get().error
    with pytest.raises(TimeoutError):
        listener.accept()

    settings.NOTICE_PRIVATE_HOSTS = ["localhost"]
    settings.EMAIL_TIMEOUT = 1
    listener.close()
    deliver(make_test(channel).pk)
    assert Delivery.objects.latest("pk").error == "Could not be reached."


@pytest.mark.django_db(transaction=True)
def test_a_name_that_leads_nowhere(make_channel: Callable[..., Channel]) -> None:
    deliver(make_test(make_channel(address="https://nowhere.invalid/hook")).pk)
    assert Delivery.objects.get().error == "Could not be reached."


@pytest.mark.django_db(transaction=True)
def test_whoever_is_asked_must_prove_who_they_are(
    make_channel: Callable[..., Channel], httpserver: object, settings: Settings
) -> None:
    """A receiver on https that speaks no TLS."""
    channel = make_channel()
    Channel.objects.update(address=channel.address.replace("http://", "https://"))
    deliver(make_test(channel).pk)
    assert Delivery.objects.get().error.startswith("No secure connection")
