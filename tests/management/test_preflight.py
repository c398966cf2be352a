"""What is said of an address and a key before anything is started."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from sessions_app.management.preflight import check_vapi
from sessions_app.management.processes import DidNotStart


def _said(httpserver: HTTPServer) -> str:
    with pytest.raises(DidNotStart) as stopped:
        check_vapi(httpserver.url_for(""), "some-key")
    return str(stopped.value)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, '{"message": "Cannot GET /session", "error": "Not Found"}', "application/json"),
        (404, "<h1>Not found</h1>", "text/html"),
        (403, "<h1>Sign in</h1>", "text/html"),
        (200, "<h1>Welcome</h1>", "text/html"),
        (200, "[]", "application/json"),
        (301, "", "text/html"),
    ],
)
def test_an_address_that_is_not_vapi_s_is_said_to_be_wrong(
    httpserver: HTTPServer, status: int, body: str, kind: str
) -> None:
    httpserver.expect_request("/session").respond_with_data(body, status, content_type=kind)
    said = _said(httpserver)
    assert said.startswith("VAPI_BASE_URL does not look like Vapi: http://")
    assert "VAPI_API_KEY" not in said
    assert "\n" not in said


def test_a_key_that_vapi_refuses_is_said_to_be_wrong(httpserver: HTTPServer) -> None:
    refusal = {"message": "Invalid Key.", "error": "Unauthorized", "statusCode": 401}
    httpserver.expect_request("/session").respond_with_json(refusal, 401)
    assert "refused VAPI_API_KEY (401)" in _said(httpserver)
