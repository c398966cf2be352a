"""The benchmark of lists: what it fills is found, and every address that it asks for answers."""

from __future__ import annotations

import pytest
from django.test import Client

from sessions_app.management.filling import OLD_WORD, fill
from sessions_app.management.list_benchmark import list_addresses
from sessions_app.models import Chat, CostLine, Session


@pytest.mark.django_db(transaction=True)
def test_every_list_answers_on_the_rows_that_were_filled(admin_client: Client) -> None:
    fill(1200)
    assert (Session.objects.count(), Chat.objects.count(), CostLine.objects.count()) == (1200, 600, 2400)
    for name, address in list_addresses():
        assert admin_client.get(address).status_code == 200, name

    def found(**asked: str) -> int:
        answer = admin_client.get("/api/v1/sessions/", {"limit": "1000", **asked})
        return len(answer.json()["results"])

    assert found(q="seldom") == 2
    assert found(q=OLD_WORD) == 120
    assert found(customer_name="Person 77") == found(search="person77") == 5
    assert found(organization="bench-small") == 240
