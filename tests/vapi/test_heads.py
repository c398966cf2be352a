"""Heads: what tells a record's versions apart is the same as of the whole record, and says nothing of the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from sessions_app.vapi.client import Listing, VapiClient
from sessions_app.vapi.errors import Unavailable
from sessions_app.vapi.fields import BadRecord
from sessions_app.vapi.heads import Head, read_head, read_page_heads, read_whole
from sessions_app.vapi.reading import PARSERS

BARE = {
    "id": "s1",
    "orgId": "o1",
    "createdAt": "2026-06-01T12:00:00.000Z",
    "updatedAt": "2026-06-01T12:30:00.000Z",
}
_CUSTOMER = {"number": "+4930123", "name": "Ann", "email": "a@b.example", "sipUri": "sip:ann:pw@example.org"}
_TEXTS = st.none() | st.text(max_size=8) | st.sampled_from(["https://u:p@h.example/?sig=x", "a\x00b", ":"])
_ODD: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({})
)
_ENTRIES = st.lists(st.just({}) | st.just({"role": "user", "content": "hi"}) | _ODD, max_size=4)
_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "name": _TEXTS | _ODD,
    "status": _TEXTS | _ODD,
    "cost": st.sampled_from([0, 0.1, 1e-07, -1, 1e300, 12345678, "0.5", "x"]) | _ODD,
    "costs": _ENTRIES | _ODD,
    "expirationSeconds": st.integers() | st.sampled_from([60, 60.0, 2**31, 2**70]) | _ODD,
    "messages": _ENTRIES | _ODD,
    "input": _ENTRIES | st.text(max_size=3) | _ODD,
    "output": _ENTRIES | _ODD,
    "customerId": _TEXTS | _ODD,
    "sessionId": _TEXTS | _ODD,
    "customer": st.just(_CUSTOMER) | st.fixed_dictionaries({}, optional={"number": _TEXTS | _ODD}) | _ODD,
    "orgId": _TEXTS | _ODD,
    "updatedAt": st.sampled_from(["2026-06-01T12:30:00+02:00", "2026-06-01T12:30:00", "soon"]) | _ODD,
}


def head_of(path: str, payload: object) -> Head | None:
    return read_head(path, json.dumps(payload).encode())


@pytest.mark.parametrize("path", ["session", "chat"])
def test_a_plain_record_has_a_head(path: str) -> None:
    head = head_of(path, {**BARE, "cost": 0.1, "messages": [{}], "input": "hi", "customer": _CUSTOMER})

    assert head is not None
    assert (head.id, head.org_id, head["createdAt"]) == ("s1", "o1", BARE["createdAt"])
    assert set(head) == {"id", "orgId", "createdAt", "updatedAt"}


@pytest.mark.parametrize("path", ["session", "chat"])
@settings(max_examples=1000)
@given(st.fixed_dictionaries({}, optional=_FIELDS))
def test_a_head_tells_what_the_whole_record_does_or_there_is_none(path: str, changes: dict[str, Any]) -> None:
    """Another fingerprint is no harm: the record is read whole then. The same one for another record would be."""
    body = json.dumps({**BARE, **changes}).encode()
    head = read_head(path, body)
    if head is None:
        return
    payload, text_replaced = read_whole(body)
    try:
        record = PARSERS[path](payload, text_replaced=text_replaced)
    except BadRecord:
        pytest.fail("what has a head is a record")
    assert (head.id, head.org_id, head.updated_at) == (record.id, record.org_id, record.updated_at)
    try:
        fingerprint = head.fingerprint
    except ValueError:
        return
    is_cleaned = json.loads(body) != json.loads(record.payload_json)
    assert fingerprint == record.fingerprint or is_cleaned or record.oddities


@pytest.mark.parametrize("path", ["session", "chat"])
def test_the_fingerprint_of_an_ordinary_record_is_that_of_the_whole(path: str) -> None:
    payload = {
        **BARE,
        "name": "Ann",
        "status": "active",
        "cost": 1e-07,
        "costs": [{"type": "model"}, {}],
        "messages": [{"role": "user"}],
        "input": [{}, {}],
        "output": [{}],
        "sessionId": "s9",
        "expirationSeconds": 600,
        "customerId": "c1",
        "customer": {"number": "+49"},
    }
    head = head_of(path, payload)
    assert head is not None
    assert head.fingerprint == PARSERS[path](read_whole(head.body)[0]).fingerprint

    changes: list[dict[str, Any]] = [
        {"name": "Bob"},
        {"cost": 2e-07},
        {"costs": [{}]},
        {"input": "hi", "messages": []},
    ]
    for change in changes:
        other = head_of(path, {**payload, **change})
        assert other is not None
        assert other.fingerprint != head.fingerprint


@pytest.mark.parametrize(
    "odd",
    [
        {"id": ""},
        {"id": 5},
        {"id": "a\x00"},
        {"id": "https://u:p@h"},
        {"orgId": None},
        {"updatedAt": "soon"},
        {"createdAt": 5},
        {"name": []},
        {"costs": {}},
        {"costs": [5]},
    ],
    ids=str,
)
def test_what_is_not_as_documented_has_none(odd: dict[str, Any]) -> None:
    assert head_of("session", {**BARE, **odd}) is None


def test_what_no_head_is_described_for_has_none() -> None:
    assert head_of("call", BARE) is None


def test_nothing_else_is_shown_of_it() -> None:
    head = head_of("session", {**BARE, "name": "s3cr3t", "assistant": {"model": {"apiKey": "s3cr3t"}}})

    assert "s3cr3t" not in f"{head!r} {head}"
    assert head is not None
    assert read_whole(head.body)[0]["assistant"] == {"model": {"apiKey": "[redacted]"}}


@pytest.mark.parametrize(
    "body",
    [
        b'{"results": [{"id": "a"}',
        b'{"results": [{"id": "\xff"}]}',
        b'{"results": [{"id": "\\ud800"}]}',
        b'{"results": {}}',
        b'["results"]',
        b"<html>",
        b'{"results": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    ],
    ids=["cut off", "not UTF-8", "lone surrogate", "no list", "no object", "HTML", "too deep"],
)
def test_what_only_the_patient_parser_understands_has_no_heads(body: bytes) -> None:
    assert read_page_heads(body) is None


def test_a_page_as_heads_is_the_same_page(httpserver: HTTPServer, client: VapiClient) -> None:
    odd = [{**BARE, "id": "b", "name": 5, "token": "s3cr3t"}, "s3cr3t words", {**BARE, "id": "c", "name": []}]
    results = [BARE, *odd, {**BARE, "id": "d", "name": "a\x00b", "password": "s3cr3t"}]
    metadata = {"totalItems": 9, "hasNextPage": True, "nextCursor": "x", "itemsBeyondRetention": True}
    httpserver.expect_request("/session").respond_with_json({"results": results, "metadata": metadata})

    whole, heads = client.list_sessions(Listing()), client.list_heads("session", Listing())

    assert [type(row) for row in heads.results] == [Head, dict, dict, Head]
    read = [read_whole(row.body)[0] if isinstance(row, Head) else row for row in heads.results]
    assert read == whole.results
    assert heads.broken == whole.broken
    for name in ("total_items", "has_next_page", "items_beyond_retention", "next_cursor", "bytes"):
        assert getattr(heads, name) == getattr(whole, name) is not None


@pytest.mark.parametrize("metadata", ["5", "null", "[]", '{"totalItems": "x"}', "[" * 500 + "]" * 500])
def test_odd_metadata_fails_no_page(httpserver: HTTPServer, client: VapiClient, metadata: str) -> None:
    body = f'{{"results": [{json.dumps(BARE)}], "metadata": {metadata}}}'
    httpserver.expect_request("/session").respond_with_data(body, content_type="application/json")

    page = client.list_heads("session", Listing())

    assert ([row["id"] for row in page.results], page.total_items) == (["s1"], None)


@pytest.mark.parametrize(
    "body", ["<html>s3cr3t</html>", '{"results": [{"a": "s3cr3t"}', '{"results": 5}', "[]"]
)
def test_a_body_that_is_no_page_is_unavailable(httpserver: HTTPServer, client: VapiClient, body: str) -> None:
    httpserver.expect_request("/session").respond_with_data(body, content_type="text/html")

    with pytest.raises(Unavailable) as caught:
        client.list_heads("session", Listing())

    assert (caught.value.kind, caught.value.body_length) == ("bad_body", len(body))
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__} {caught.value.__context__}"


def test_a_record_too_deep_to_follow_is_set_aside(httpserver: HTTPServer, client: VapiClient) -> None:
    deep = '{"a":' * 600 + "{}" + "}" * 600
    httpserver.expect_request("/session").respond_with_data(
        f'{{"results": [{{"id": "a", "x": {deep}}}]}}', content_type="application/json"
    )

    page = client.list_heads("session", Listing())

    assert (page.results, [(entry.index, entry.type) for entry in page.broken]) == ([], [(0, "object")])
