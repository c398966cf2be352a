"""What goes out to Vapi, and what a good answer becomes."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request

from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Gone, Refused, WritesOff
from tests.vapi.conftest import KEY
from tests.vapi.raw_server import raw_server

JUNE = datetime(2026, 6, 1, 12, 30, 0, 5000, tzinfo=UTC)


def requests_of(httpserver: HTTPServer) -> list[Request]:
    return [request for request, _ in httpserver.log]


def answer_page(httpserver: HTTPServer, results: Any, **metadata: Any) -> None:
    httpserver.expect_request("/session").respond_with_json({"results": results, "metadata": metadata})


def test_a_page_of_sessions() -> None:
    body = b'{"results": [{"id": "s1", "cost": 1e-07}], "metadata": {"totalItems": 7, "hasNextPage": true,'
    body += b'"itemsBeyondRetention": false, "itemsPerPage": 1000, "currentPage": 1}}'
    head = b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jun 2026 12:00:00 GMT\r\nConnection: close\r\n\r\n"
    before = datetime.now(UTC)
    with raw_server(head + body) as (url, _), VapiClient(url, KEY) as client:
        page = client.list_sessions(Listing())

    assert page.results == [{"id": "s1", "cost": Decimal("1e-07")}]
    assert (page.total_items, page.has_next_page, page.items_beyond_retention) == (7, True, False)
    assert page.date == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert before <= page.asked_at <= datetime.now(UTC)
    assert page.bytes == len(body)
    assert (page.text_replaced, page.broken) == (frozenset(), [])


def test_the_key_and_the_filters_go_out(httpserver: HTTPServer, client: VapiClient) -> None:
    answer_page(httpserver, [])
    client.list_sessions(
        Listing(
            created_at_ge=JUNE,
            created_at_lt=JUNE.astimezone(timezone(timedelta(hours=5, minutes=30))),
            updated_at_ge=JUNE.replace(microsecond=123456),
            page=2,
            limit=50,
            sort_order="DESC",
            id_any=("a", "b"),
            session_id="s",
            number="+49 30",
            email="a&b=c@d.e",
            external_id="x/1",
        )
    )

    (request,) = requests_of(httpserver)
    assert request.headers["Authorization"] == "Bearer key-of-the-test"
    assert request.args.to_dict() == {
        "createdAtGe": "2026-06-01T12:30:00.005Z",
        "createdAtLt": "2026-06-01T12:30:00.005Z",
        "updatedAtGe": "2026-06-01T12:30:00.123456Z",
        "page": "2",
        "limit": "50",
        "sortOrder": "DESC",
        "idAny": "a,b",
        "sessionId": "s",
        "number": "+49 30",
        "email": "a&b=c@d.e",
        "externalId": "x/1",
    }


def test_what_is_not_asked_for_is_left_out(httpserver: HTTPServer, client: VapiClient) -> None:
    answer_page(httpserver, [])
    client.list_sessions(Listing())

    (request,) = requests_of(httpserver)
    assert request.args.to_dict() == {"page": "1", "limit": "1000", "sortOrder": "ASC"}


def test_a_time_without_a_zone_is_not_sent(httpserver: HTTPServer, client: VapiClient) -> None:
    with pytest.raises(ValueError, match="zone"):
        client.list_sessions(Listing(created_at_ge=datetime(2026, 6, 1)))  # noqa: DTZ001 - the mistake itself
    assert requests_of(httpserver) == []


def test_chats_have_their_own_path(httpserver: HTTPServer, client: VapiClient) -> None:
    httpserver.expect_request("/chat").respond_with_json({"results": [{"id": "c1"}]})
    httpserver.expect_request("/chat/c1").respond_with_json({"id": "c1"})

    assert client.list_chats(Listing(session_id="s1")).results == [{"id": "c1"}]
    assert client.get_chat("c1").payload == {"id": "c1"}
    assert requests_of(httpserver)[0].args["sessionId"] == "s1"


def test_names_come_as_bare_arrays(httpserver: HTTPServer, client: VapiClient) -> None:
    for path in ("assistant", "squad", "phone-number"):
        httpserver.expect_request(f"/{path}").respond_with_json([{"id": path, "apiKey": "s3cr3t"}, 5])

    assert client.list_assistants(created_at_lt=JUNE) == [{"id": "assistant", "apiKey": "[redacted]"}]
    assert client.list_squads(limit=5)[0]["id"] == "squad"
    assert client.list_phone_numbers()[0]["id"] == "phone-number"
    queries = [request.args.to_dict() for request in requests_of(httpserver)]
    assert queries == [
        {"limit": "1000", "createdAtLt": "2026-06-01T12:30:00.005Z"},
        {"limit": "5"},
        {"limit": "1000"},
    ]


def test_one_session_is_redacted_and_made_safe(httpserver: HTTPServer, client: VapiClient) -> None:
    body = r'{"id": "s1", "name": "a\u0000b\ud800", "assistant": {"model": {"api\u004bey": "s3cr3t"}}}'
    httpserver.expect_request("/session/s1").respond_with_data(body, content_type="application/json")

    fetched = client.get_session("s1")

    assert fetched.payload == {
        "id": "s1",
        "name": "a\ufffdb\ufffd",
        "assistant": {"model": {"apiKey": "[redacted]"}},
    }
    assert fetched.text_replaced


def test_a_page_says_which_results_were_changed(httpserver: HTTPServer, client: VapiClient) -> None:
    answer_page(httpserver, [{"id": "a"}, "odd", {"id": "b", "name": "\x00"}, {"id": "c", "token": "s3cr3t"}])

    page = client.list_sessions(Listing())

    assert [result["id"] for result in page.results] == ["a", "b", "c"]
    assert page.text_replaced == {1}
    assert page.results[2] == {"id": "c", "token": "[redacted]"}


def test_an_entry_that_is_no_object_is_set_aside(httpserver: HTTPServer, client: VapiClient) -> None:
    answer_page(httpserver, [{"id": "a"}, "s3cr3t words", None, [1], 5, True])

    page = client.list_sessions(Listing())

    assert page.results == [{"id": "a"}]
    told = [(broken.index, broken.type, broken.length) for broken in page.broken]
    assert told == [(1, "string", 14), (2, "null", 4), (3, "array", 3), (4, "number", 1), (5, "boolean", 4)]
    assert all(len(broken.sha256) == 64 for broken in page.broken)
    assert "s3cr3t" not in repr(page.broken)


def test_an_entry_that_is_too_deep_to_follow_is_set_aside(httpserver: HTTPServer, client: VapiClient) -> None:
    deep = '{"a":' * 500 + '{"token": "s3cr3t"}' + "}" * 500
    body = f'{{"results": [{{"id": "a"}}, {deep}, {{"id": "b", "token": "s3cr3t"}}]}}'
    httpserver.expect_request("/session").respond_with_data(body, content_type="application/json")

    page = client.list_sessions(Listing())

    assert page.results == [{"id": "a"}, {"id": "b", "token": "[redacted]"}]
    assert [(broken.index, broken.type) for broken in page.broken] == [(1, "object")]


@pytest.mark.parametrize(
    "metadata", [None, [], "x", {}, {"totalItems": "7", "hasNextPage": 1}, {"totalItems": True}]
)
def test_odd_metadata_never_fails_a_page(httpserver: HTTPServer, client: VapiClient, metadata: Any) -> None:
    httpserver.expect_request("/session").respond_with_json({"results": [{"id": "a"}], "metadata": metadata})

    page = client.list_sessions(Listing())

    assert page.results == [{"id": "a"}]
    assert (page.total_items, page.has_next_page, page.items_beyond_retention) == (None, None, None)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "Date: \r\n",
        "Date: yesterday\r\n",
        "Date: Mon, 99 Foo 2026\r\n",
        "Date: Fri, 31 Dec 9999 23:59:59 -1200\r\n",
    ],
)
def test_an_odd_date_is_none(date: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{date}Connection: close\r\n\r\n{{}}"
    with raw_server(head.encode()) as (url, _), VapiClient(url, KEY) as client:
        assert client.get_session("s").date is None


@pytest.mark.parametrize(
    ("remote_id", "on_the_wire"),
    [
        ("a/b", "/session/a%2Fb"),
        ("../assistant", "/session/..%2Fassistant"),
        ("a?limit=1#x", "/session/a%3Flimit%3D1%23x"),
        ("%2e%2e", "/session/%252e%252e"),
        ("a b\\c\n", "/session/a%20b%5Cc%0A"),
        ("ü;x", "/session/%C3%BC%3Bx"),
        ("{id}", "/session/%7Bid%7D"),
        ("...", "/session/..."),
    ],
)
def test_an_id_is_one_segment_of_the_path(
    httpserver: HTTPServer, client: VapiClient, remote_id: str, on_the_wire: str
) -> None:
    httpserver.expect_request(re.compile("/")).respond_with_json({"message": "no such id"}, status=404)
    with pytest.raises(Gone):
        client.get_session(remote_id)

    sent = {request.environ["REQUEST_URI"] for request in requests_of(httpserver)}
    assert sent == {on_the_wire}


@pytest.mark.parametrize("remote_id", ["", ".", "..", "\ud800"])
def test_what_is_no_id_is_not_sent(httpserver: HTTPServer, writer: VapiClient, remote_id: str) -> None:
    with pytest.raises(Refused) as caught:
        writer.get_session(remote_id)
    with pytest.raises(Refused):
        writer.patch_session(remote_id, {"name": "x"})

    assert caught.value.status is None
    assert requests_of(httpserver) == []


def test_a_patch_sends_only_its_fields(httpserver: HTTPServer, writer: VapiClient) -> None:
    httpserver.expect_request("/session/s1", method="PATCH").respond_with_json({"id": "s1", "name": "Neu ü"})

    fetched = writer.patch_session("s1", {"name": "Neu ü", "expirationSeconds": Decimal(60)})

    (request,) = requests_of(httpserver)
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.get_data()) == {"name": "Neu ü", "expirationSeconds": 60}
    assert fetched.payload == {"id": "s1", "name": "Neu ü"}


def test_a_write_is_refused_before_anything_is_sent(httpserver: HTTPServer, client: VapiClient) -> None:
    asked: list[str] = []
    for may_write in (None, lambda: False):
        options: dict[str, Any] = {} if may_write is None else {"may_write": may_write}
        with VapiClient(httpserver.url_for(""), "k", before_request=asked.append, **options) as off:
            with pytest.raises(WritesOff) as caught:
                off.patch_session("s1", {"name": "x"})
            assert str(caught.value) == "PATCH /session/{id}: not sent, writing is off"

    assert requests_of(httpserver) == []
    assert asked == []


def test_the_write_mode_is_asked_every_time(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/session/s1").respond_with_json({"id": "s1"})
    modes = iter([True, False])
    with VapiClient(httpserver.url_for(""), "k", may_write=lambda: next(modes)) as client:
        client.patch_session("s1", {})
        with pytest.raises(WritesOff):
            client.patch_session("s1", {})

    assert len(requests_of(httpserver)) == 1


def test_every_request_that_goes_out_is_announced(httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/session/s1").respond_with_json({}, status=503)
    httpserver.expect_ordered_request("/session/s1").respond_with_json({"id": "s1"})
    httpserver.expect_ordered_request("/session/s1", method="PATCH").respond_with_json({"id": "s1"})
    asked: list[str] = []
    with VapiClient(
        httpserver.url_for(""), "k", may_write=lambda: True, before_request=asked.append
    ) as client:
        client.get_session("s1")
        client.patch_session("s1", {})

    assert asked == ["GET", "GET", "PATCH"]
    assert [request.method for request in requests_of(httpserver)] == asked


@pytest.mark.parametrize("key", ["", "  ", "a b", "a\nb", "ключ"])
def test_a_key_that_is_none_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(ValueError, match="one word of printable ASCII"):
        VapiClient("https://api.vapi.ai", key)


@pytest.mark.parametrize(
    "url", ["", "api.vapi.ai", "ftp://x", "https://", "https://u:p@h", "https://h/?a=b", "https://h/#a"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        VapiClient(url, "k")


def test_a_base_url_may_hold_a_path_and_a_slash(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/vapi/session/s1").respond_with_json({"id": "s1"})
    with VapiClient(httpserver.url_for("/vapi/"), "k") as client:
        assert client.get_session("s1").payload == {"id": "s1"}


def test_the_environment_adds_nothing(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    httpserver.expect_request("/session/s1").respond_with_json({"id": "s1"})
    with VapiClient(httpserver.url_for(""), "k") as client:
        client.get_session("s1")

    assert requests_of(httpserver)[0].headers["Authorization"] == "Bearer k"
