"""Gone, refused or unavailable: each answer is sorted, and no error says more than a log may hold."""

import copy
import hashlib
import logging
import pickle
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from sessions_app.vapi import transport
from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Gone, Refused, Unavailable, VapiError, WritesOff
from tests.vapi.conftest import KEY
from tests.vapi.raw_server import raw_server

ENVELOPE = {"statusCode": 404, "message": "Couldn't get session.", "error": "Not Found"}
HTML = "<html><body>s3cr3t words of a proxy</body></html>"


def answer(httpserver: HTTPServer, status: int, body: Any = None, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    httpserver.expect_request("/session/s1").respond_with_json(
        {"statusCode": status, "message": "no"} if body is None else body, status=status, headers=named
    )


def failure(client: VapiClient) -> VapiError:
    with pytest.raises(VapiError) as caught:
        client.get_session("s1")
    return caught.value


def unavailable(client: VapiClient) -> Unavailable:
    error = failure(client)
    assert isinstance(error, Unavailable)
    return error


def test_a_404_for_an_id_is_gone(httpserver: HTTPServer, client: VapiClient) -> None:
    answer(httpserver, 404, ENVELOPE)
    error = failure(client)

    assert isinstance(error, Gone)
    assert (error.status, error.words) == (404, ("Couldn't get session.",))
    assert len(httpserver.log) == 1


def test_a_404_for_a_patch_is_gone(httpserver: HTTPServer, writer: VapiClient) -> None:
    answer(httpserver, 404, ENVELOPE)
    with pytest.raises(Gone):
        writer.patch_session("s1", {"name": "x"})


def test_a_404_for_a_listing_is_refused(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_request("/session").respond_with_json(ENVELOPE, status=404)
    with pytest.raises(Refused):
        client.list_sessions(Listing())


def test_a_404_that_is_not_of_vapi_is_not_gone(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_request("/session/s1").respond_with_data(HTML, 404, content_type="text/html")
    error = unavailable(client)

    assert (error.kind, error.status, error.body_type) == ("bad_body", 404, "text/html")


def test_a_404_of_a_wrong_base_url_is_not_gone(httpserver: HTTPServer, client: VapiClient) -> None:
    answer(httpserver, 404, {"message": "Cannot GET /v2/session/s1", "error": "Not Found", "statusCode": 404})

    assert isinstance(failure(client), Refused)


def test_a_404_of_a_wrong_base_url_deletes_nothing(httpserver: HTTPServer, writer: VapiClient) -> None:
    words = "Cannot DELETE /v2/session/s1"
    httpserver.expect_request("/session/s1", method="DELETE").respond_with_json(
        {"message": words}, status=404
    )

    with pytest.raises(Refused, match=r"DELETE /session/\{id\}: 404"):
        writer.delete_session("s1")


@pytest.mark.parametrize("status", [400, 401, 402, 403, 405, 409, 410, 413, 422, 499])
def test_another_4xx_is_refused_with_the_words_of_vapi(
    httpserver: HTTPServer, client: VapiClient, status: int
) -> None:
    answer(httpserver, status, {"message": ["name must be shorter", "status is odd"], "error": "Bad Request"})
    error = failure(client)

    assert isinstance(error, Refused)
    assert error.words == ("name must be shorter", "status is odd")
    assert error.status == status
    assert len(httpserver.log) == 1


def test_a_refusal_without_words_has_none(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_request("/session/s1").respond_with_data(HTML, 403, content_type="text/html")
    error = failure(client)

    assert isinstance(error, Refused)
    assert error.words == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "a", "error": "b"}, ("a",)),
        ({"error": "b"}, ("b",)),
        ({"message": {"deep": 1}}, ()),
        ({"message": ["a", 5, None, "\x00"]}, ("a", "\ufffd")),
        ({"message": "see https://u:pw@h/"}, ("see https://[redacted]@h/",)),
        ([], ()),
    ],
)
def test_words_are_taken_as_they_come(
    httpserver: HTTPServer, client: VapiClient, body: Any, words: tuple[str, ...]
) -> None:
    answer(httpserver, 400, body)

    assert failure(client).words == words


def test_words_have_an_end(httpserver: HTTPServer, client: VapiClient) -> None:
    answer(httpserver, 400, {"message": ["x" * 999] * 99})
    words = failure(client).words

    assert len(words) == 20
    assert max(map(len, words)) == 500


@pytest.mark.parametrize(
    ("status", "kind", "tries"),
    [
        (408, "timeout", 4),
        (429, "rate_limited", 4),
        (500, "server", 4),
        (501, "server", 1),
        (503, "server", 4),
    ],
)
def test_a_read_is_tried_again_and_then_unavailable(
    httpserver: HTTPServer,
    client: VapiClient,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    kind: str,
    tries: int,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    answer(httpserver, status)
    error = unavailable(client)

    assert (error.kind, error.status, error.retry_after) == (kind, status, None)
    assert len(httpserver.log) == tries


@pytest.mark.parametrize("status", [429, 503])
def test_a_read_that_then_succeeds_is_a_success(
    httpserver: HTTPServer, client: VapiClient, status: int
) -> None:
    httpserver.expect_ordered_request("/session/s1").respond_with_data("", status)
    httpserver.expect_ordered_request("/session/s1").respond_with_json({"id": "s1"})

    assert client.get_session("s1").payload == {"id": "s1"}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_patch_is_never_tried_again(httpserver: HTTPServer, writer: VapiClient, status: int) -> None:
    answer(httpserver, status, Retry_After="1")
    with pytest.raises(Unavailable) as caught:
        writer.patch_session("s1", {"name": "x"})

    assert len(httpserver.log) == 1
    assert caught.value.retry_after == 1


@pytest.mark.parametrize("reset", [False, True])
def test_a_patch_whose_answer_was_lost_is_sent_once(reset: bool) -> None:
    with raw_server(b"", b"", b"", reset=reset) as (url, asked):
        writer = VapiClient(url, "k", may_write=lambda: True)
        with writer, pytest.raises(Unavailable) as caught:
            writer.patch_session("s1", {"name": "x"})

    assert caught.value.kind == "connection"
    assert len(list(filter(None, asked))) == 1


def test_a_patch_that_takes_too_long_is_sent_once(httpserver: HTTPServer, writer: VapiClient) -> None:
    httpserver.expect_request("/session/s1").respond_with_handler(slow_answer)
    with pytest.raises(Unavailable) as caught:
        writer.patch_session("s1", {"name": "x"})
    time.sleep(0.5)

    assert (caught.value.kind, caught.value.status) == ("timeout", None)
    assert len(httpserver.log) == 1


def slow_answer(_request: object) -> Response:
    time.sleep(0.8)
    return Response("{}")


def test_a_read_that_takes_too_long_is_unavailable(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_request("/session/s1").respond_with_handler(slow_answer)

    assert unavailable(client).kind == "timeout"


def test_a_body_that_stops_coming_is_a_time_out() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: hold(listener, head))
    thread.start()
    with VapiClient(f"http://127.0.0.1:{listener.getsockname()[1]}", "k", timeout=(1, 0.2)) as client:
        error = unavailable(client)
    thread.join()
    listener.close()

    assert error.kind == "timeout"


def hold(listener: socket.socket, head: bytes) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(head)
        # Until the client hangs up.
        connection.recv(1)


# The beginning of gzip's output for 999 bytes, not compressed.
STORED = bytes.fromhex("1f8b080000000000000300e70318fc") + bytes(85)


@pytest.mark.parametrize("length", ["Content-Length: 999", "Connection: close", "Content-Encoding: gzip"])
def test_a_body_that_drips_is_a_time_out(length: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No byte is late, and yet there is no end."""
    monkeypatch.setattr(transport, "LONGEST_ANSWER_SECONDS", 0.3)
    head = f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode()
    with dripping(head) as url, VapiClient(url, "k", timeout=(1, 1)) as client:
        assert unavailable(client).kind == "timeout"


def test_a_refusal_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_ANSWER_SECONDS", 0.3)
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 999\r\n\r\n"
    with dripping(*[refusal] * 4) as url, VapiClient(url, "k", timeout=(1, 1)) as client:
        started = time.monotonic()
        assert unavailable(client).kind == "timeout"
    # Four of them, and the waits between.
    assert time.monotonic() - started < 12


@contextmanager
def dripping(*heads: bytes) -> Iterator[str]:
    """The address of a server that sends a head, then a byte now and then for five seconds."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for head in heads:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                connection.sendall(head)
                for byte in STORED:
                    time.sleep(0.05)
                    connection.sendall(bytes([byte]))

    thread = threading.Thread(target=serve)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(30)


def test_nobody_there_is_a_connection_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with VapiClient(f"http://127.0.0.1:{port}", "k") as client:
        error = unavailable(client)

    assert (error.kind, error.status) == ("connection", None)
    assert str(error) == "GET /session/{id}: connection, no answer"


def test_a_patch_that_found_nobody_is_tried_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    asked: list[str] = []
    with VapiClient(nobody, "k", may_write=lambda: True, before_request=asked.append) as writer:
        with pytest.raises(Unavailable):
            writer.patch_session("s1", {})
        assert asked == ["PATCH"]
        with pytest.raises(Unavailable):
            writer.get_session("s1")
        assert asked == ["PATCH", "GET", "GET", "GET"]


@pytest.mark.parametrize("reset", [False, True])
def test_a_body_that_breaks_off_is_unavailable(reset: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with (
        raw_server(*[head + b'{"id": "s1"'] * 3, reset=reset) as (url, _asked),
        VapiClient(url, "k") as client,
    ):
        assert unavailable(client).kind == "connection"


def test_a_chunked_body_that_breaks_off_is_unavailable() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with raw_server(*[head + b'5\r\n{"a":\r\n'] * 3) as (url, _asked), VapiClient(url, "k") as client:
        assert unavailable(client).kind == "connection"


def test_a_body_whose_compression_is_broken_is_unavailable(
    httpserver: HTTPServer, client: VapiClient
) -> None:
    httpserver.expect_request("/session/s1").respond_with_data(
        b"no gzip at all", headers={"Content-Encoding": "gzip"}
    )

    assert unavailable(client).kind == "bad_body"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (HTML, "text/html"),
        ("", "application/json"),
        ('{"id": "s1", "messa', "application/json"),
        ('{"id": NaN}', "application/json"),
        ('{"cost": 1e9999999999999999999}', "application/json"),
        ('{"id": "s1"}{"id": "s2"}', "application/json"),
        ("[1]", "application/json"),
        ('"s1"', "application/json"),
        ("null", "application/json"),
        ("[" * 50_000, "application/json"),
        (b'{"id": "\xff\xfe"}', "application/json"),
    ],
)
def test_a_200_that_is_no_object_is_unavailable(
    httpserver: HTTPServer, client: VapiClient, body: str | bytes, kind: str
) -> None:
    httpserver.expect_request("/session/s1").respond_with_data(body, content_type=f"{kind}; charset=utf-8")
    error = unavailable(client)
    content = body.encode() if isinstance(body, str) else body

    assert (error.kind, error.status) == ("bad_body", 200)
    assert (error.body_type, error.body_length) == (kind, len(content))
    assert error.body_sha256 == hashlib.sha256(content).hexdigest()
    assert "s3cr3t" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    "body", ["[]", "{}", '{"results": null}', '{"results": {}}', '{"results": "x"}', "null", "5", HTML]
)
def test_a_page_without_results_is_unavailable(httpserver: HTTPServer, client: VapiClient, body: str) -> None:
    httpserver.expect_request("/session").respond_with_data(body, content_type="application/json")
    with pytest.raises(Unavailable) as caught:
        client.list_sessions(Listing())

    assert caught.value.kind == "bad_body"


@pytest.mark.parametrize("body", ["{}", '{"results": []}', "null", HTML])
def test_names_that_are_no_array_are_unavailable(
    httpserver: HTTPServer, client: VapiClient, body: str
) -> None:
    httpserver.expect_request("/assistant").respond_with_data(body, content_type="application/json")
    with pytest.raises(Unavailable):
        client.list_assistants()


def test_an_answer_with_a_byte_order_mark_is_read(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_request("/session/s1").respond_with_data(b'\xef\xbb\xbf{"id": "s1"}')

    assert client.get_session("s1").payload == {"id": "s1"}


@pytest.mark.parametrize("status", [204, 301, 302, 307, 308, 304])
def test_a_redirect_is_not_followed(httpserver: HTTPServer, client: VapiClient, status: int) -> None:
    elsewhere = httpserver.url_for("/elsewhere").replace("localhost", "127.0.0.1")
    httpserver.expect_request("/elsewhere").respond_with_json({"id": "s1"})
    httpserver.expect_request("/session/s1").respond_with_data("", status, {"Location": elsewhere})

    assert unavailable(client).status == status
    assert {request.path for request, _ in httpserver.log} == {"/session/s1"}


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [("60", 60.0), ("12.5", 12.5), ("0", 0.0), ("-5", 0.0), ("soon", None), ("nan", None)],
)
def test_retry_after_in_seconds(
    httpserver: HTTPServer, writer: VapiClient, sent: str, seconds: float | None
) -> None:
    answer(httpserver, 429, Retry_After=sent)
    with pytest.raises(Unavailable) as caught:
        writer.patch_session("s1", {})

    assert caught.value.retry_after == seconds


def test_retry_after_as_a_date_is_read_by_the_clock_of_vapi() -> None:
    vapis_noon = datetime(2031, 1, 1, 12, tzinfo=UTC)
    headers = {
        "Date": format_datetime(vapis_noon, usegmt=True),
        "Retry-After": format_datetime(vapis_noon + timedelta(seconds=90), usegmt=True),
    }
    assert transport.retry_after_seconds(headers) == 90

    del headers["Date"]
    headers["Retry-After"] = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert transport.retry_after_seconds(headers) == pytest.approx(90, abs=2)
    headers["Retry-After"] = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert transport.retry_after_seconds(headers) == 0
    assert transport.retry_after_seconds({}) is None


def test_a_long_retry_after_is_not_slept_through(httpserver: HTTPServer, client: VapiClient) -> None:
    answer(httpserver, 429, Retry_After="3600")
    started = time.monotonic()
    error = unavailable(client)

    assert time.monotonic() - started < 2
    assert (error.kind, error.retry_after) == ("rate_limited", 3600)
    assert len(httpserver.log) == 1


def test_a_short_retry_after_is_kept(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_ordered_request("/session/s1").respond_with_data("", 429, {"Retry-After": "1"})
    httpserver.expect_ordered_request("/session/s1").respond_with_json({"id": "s1"})
    started = time.monotonic()
    client.get_session("s1")

    assert 1 <= time.monotonic() - started < 3


def test_one_call_sleeps_ten_seconds_at_most_in_all(
    httpserver: HTTPServer, client: VapiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    answer(httpserver, 503, Retry_After="4")
    error = unavailable(client)

    assert naps == [4, 4]
    assert error.retry_after == 4


# Not written in the test, whose own lines a traceback shows.
CUSTOMER = Listing(number="+4930123", email="ann@example.org")
REMOTE_ID = "s3cr3t-id"
WORDS_OF_CUSTOMERS = ["4930123", "ann@", "ann%40", REMOTE_ID, KEY]


def test_a_read_that_failed_leaves_no_query_and_no_id_in_logs(
    httpserver: HTTPServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request("/session").respond_with_data("", 503)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    told = []
    for url in (httpserver.url_for(""), nobody):
        with VapiClient(url, KEY) as client:
            for ask in (lambda: client.list_sessions(CUSTOMER), lambda: client.get_session(REMOTE_ID)):
                with pytest.raises(Unavailable) as caught:
                    ask()
                assert caught.value.__context__ is None
                told += [*traceback.format_exception(caught.value), repr(caught.value)]
    told += [record.getMessage() for record in caplog.records if record.name != "werkzeug"]

    assert [word for word in WORDS_OF_CUSTOMERS if word in "".join(told)] == []


@pytest.mark.parametrize("kind", [Gone, Refused, WritesOff, Unavailable])
def test_an_error_says_what_was_asked_and_can_be_copied(kind: type[VapiError]) -> None:
    error = kind("GET", "/session/{id}", 499, ("s3cr3t words",))
    for same in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert "GET /session/{id}" in str(same)
        assert "s3cr3t" not in str(same) + repr(same)
        assert (same.status, same.words) == (499, ("s3cr3t words",))


def test_what_is_known_of_an_unavailable_survives_a_copy() -> None:
    error = Unavailable("GET", "/x", 429, kind="rate_limited", retry_after=7.0)
    same = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (same.kind, same.retry_after) == ("rate_limited", 7.0)
