"""A Vapi that answers what a test says, and a client for it."""

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from sessions_app.vapi.client import VapiClient

KEY = "key-of-the-test"


@pytest.fixture
def client(httpserver: HTTPServer) -> Iterator[VapiClient]:
    with VapiClient(httpserver.url_for(""), KEY, timeout=(0.5, 0.5)) as client:
        yield client


@pytest.fixture
def writer(httpserver: HTTPServer) -> Iterator[VapiClient]:
    with VapiClient(httpserver.url_for(""), KEY, timeout=(0.5, 0.5), may_write=lambda: True) as client:
        yield client
