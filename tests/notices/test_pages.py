"""The page of notices, its forms and buttons, and the log of deliveries: as named people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from sessions_app.models import Channel, Delivery, Organization
from sessions_app.notices.causes import make_test, note_pause
from tests.notices.conftest import Receiver

pytestmark = pytest.mark.django_db

Make = Callable[..., Channel]
PAGE, LOG = "/admin/notices/", "/admin/sessions_app/delivery/"


def given(**changes: Any) -> dict[str, Any]:
    """A form as a browser sends it."""
    return {
        "name": "Room",
        "address": "https://hooks.example.com/x",
        "topics": ["conflict"],
        "is_enabled": "on",
    } | changes


def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as found:
        assert client.get(path).status_code == 200
    return len(found)


# Channels --------------------------------------------------------------------------------------------


def test_a_person_makes_changes_and_removes_a_channel(
    editor_client: Client, editor: User, organization: Organization
) -> None:
    assert "None yet" in editor_client.get(PAGE).text
    assert "E-mail is not set up here" in editor_client.get(PAGE).text

    answer = editor_client.post(f"{PAGE}add/slack/", given(), follow=True)
    assert "“Room” is saved" in answer.text and "hooks.example.com" in answer.text
    channel = Channel.objects.get()
    assert (channel.owner, channel.kind, channel.topics, channel.organization) == (
        editor,
        "slack",
        ["conflict"],
        None,
    )

    form = editor_client.get(f"{PAGE}{channel.pk}/").text
    assert "Stored for hooks.example.com" in form and "hooks.example.com/x" not in form
    changes = given(name="Other room", address="", topics=["failed", "paused"], organization=organization.pk)
    changes.pop("is_enabled")
    editor_client.post(f"{PAGE}{channel.pk}/", changes)
    channel.refresh_from_db()
    assert (channel.name, channel.address, channel.topics, channel.organization, channel.is_enabled) == (
        "Other room",
        "https://hooks.example.com/x",
        ["failed", "paused"],
        organization,
        False,
    )
    assert "switched off" in editor_client.get(PAGE).text

    editor_client.post(f"{PAGE}{channel.pk}/remove/")
    channel.refresh_from_db()
    assert channel.removed_at and (channel.address, channel.secret) == ("", "")
    editor_client.get(PAGE)
    assert "Other room" not in editor_client.get(PAGE).text
    assert editor_client.post(f"{PAGE}{channel.pk}/test/").status_code == 404


def test_the_secret_is_shown_once(editor_client: Client) -> None:
    made = editor_client.post(f"{PAGE}add/webhook/", given())
    channel = Channel.objects.get()
    assert channel.secret.startswith("whsec_") and channel.secret in made.text
    for path in (PAGE, f"{PAGE}{channel.pk}/", LOG):
        assert channel.secret not in editor_client.get(path).text
    with connection.cursor() as cursor:
        cursor.execute("SELECT address, secret FROM sessions_app_channel")
        stored = str(cursor.fetchall())
    assert "hooks.example.com" not in stored and channel.secret not in stored


def test_ones_own_e_mail_is_offered(editor_client: Client, editor: User, settings: Settings) -> None:
    settings.EMAIL_IS_SET_UP = True
    User.objects.update(email="editor@example.com")
    page = editor_client.get(f"{PAGE}add/email/").text
    assert 'value="editor@example.com"' in page and "not set up" not in page


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("slack", {"name": " "}, "Give it a name."),
        ("slack", {"topics": []}, "Choose what it is told of."),
        ("slack", {"topics": ["nonsense"]}, "Select a valid choice."),
        ("slack", {"address": ""}, "Enter an address such as"),
        ("slack", {"address": "http://hooks.example.com/"}, "https only"),
        ("teams", {"address": "https://10.1.2.3/x"}, "private address"),
        ("webhook", {"organization": "4711"}, "Select a valid choice."),
        ("email", {"address": "nobody"}, "Enter a valid email address."),
        ("email", {"address": "a@example.com\nBcc: b@example.com"}, "Enter a valid email address."),
    ],
)
def test_a_mistake_is_said_beside_its_field(
    editor_client: Client, kind: str, changes: dict[str, Any], words: str
) -> None:
    answer = editor_client.post(f"{PAGE}add/{kind}/", given(**changes))
    assert answer.status_code == 200 and words in answer.text
    assert not Channel.objects.exists()


def test_there_is_no_other_kind(editor_client: Client) -> None:
    assert editor_client.get(f"{PAGE}add/fax/").status_code == 404


# Who may ---------------------------------------------------------------------------------------------


def test_whose_channels_one_may_see_and_change(
    editor: User, editor_client: Client, ops_client: Client, viewer_client: Client, stranger_client: Client,
    make_channel: Make,
) -> None:  # fmt: skip
    own, shared = (
        make_channel("slack", name="Own room", owner=editor),
        make_channel("slack", name="Team room"),
    )
    assert Client().get(PAGE).status_code == 302
    for client in (viewer_client, stranger_client):
        for path in (PAGE, f"{PAGE}add/slack/", f"{PAGE}{own.pk}/", LOG):
            assert client.get(path).status_code == 403, path
        for action in ("remove", "test"):
            assert client.post(f"{PAGE}{shared.pk}/{action}/").status_code == 403
    assert "Own room" in editor_client.get(PAGE).text and "Team room" not in editor_client.get(PAGE).text
    assert "Team room" in ops_client.get(PAGE).text and "Own room" not in ops_client.get(PAGE).text
    for client, strange in ((editor_client, shared), (ops_client, own)):
        assert client.get(f"{PAGE}{strange.pk}/").status_code == 404
        for action in ("remove", "test"):
            assert client.post(f"{PAGE}{strange.pk}/{action}/").status_code == 404
    assert editor_client.get(f"{PAGE}add/slack/?shared=1").status_code == 403
    assert editor_client.post(f"{PAGE}add/slack/?shared=1", given()).status_code == 403
    ops_client.post(f"{PAGE}add/slack/?shared=1", given(name="New room"))
    assert Channel.objects.get(name="New room").owner is None


def test_decisions_are_posts_with_a_token(editor: User, editor_client: Client, make_channel: Make) -> None:
    channel = make_channel("slack", owner=editor)
    delivery = make_test(channel)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(editor, backend="django.contrib.auth.backends.ModelBackend")
    for path in (f"{PAGE}{channel.pk}/remove/", f"{PAGE}{channel.pk}/test/", f"{LOG}{delivery.pk}/retry/"):
        assert editor_client.get(path).status_code == 405
        assert strict.post(path).status_code == 403
    channel.refresh_from_db()
    assert channel.removed_at is None


# The test button -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_test_button_says_what_came_of_it(
    editor: User, editor_client: Client, make_channel: Make, receiver: Receiver
) -> None:
    channel = make_channel("slack", owner=editor, name="Room")
    answer = editor_client.post(f"{PAGE}{channel.pk}/test/", follow=True)
    assert "The test of “Room” was sent and was answered 200." in answer.text
    assert "Test of the channel Room" in receiver.bodies[0]["text"]

    receiver.status = 404
    answer = editor_client.post(f"{PAGE}{channel.pk}/test/", follow=True)
    assert "did not go through. Answered 404." in answer.text
    assert "words of the receiver" not in answer.text
    assert list(Delivery.objects.order_by("pk").values_list("state", flat=True)) == ["sent", "gave_up"]


# The log ---------------------------------------------------------------------------------------------


def test_the_log_is_filtered_by_state_and_what_was_given_up_is_sent_again(
    ops_client: Client, editor_client: Client, make_channel: Make, organization: Organization
) -> None:
    assert "Nothing here yet" in ops_client.get(LOG).text
    make_channel("slack", name="Team room")
    note_pause(organization, 401)
    delivery = Delivery.objects.get()
    page = ops_client.get(LOG).text
    assert "Sandbox is paused (401)" in page and "Team room" in page and "Send again" not in page
    assert "Sandbox is paused" not in editor_client.get(LOG).text, "it went through no channel of theirs"

    Delivery.objects.update(state="gave_up", attempts=12, error="Answered 500. Given up after 12 attempts.")
    for query, is_found in (
        ("state=gave_up", True),
        ("state=sent", False),
        ("cause=organization.paused&kind=slack&organization=sandbox", True),
        ("kind=teams", False),
    ):
        assert ("Sandbox is paused" in ops_client.get(f"{LOG}?{query}").text) is is_found, query
    assert "Choose from" in ops_client.get(f"{LOG}?state=nonsense").text
    assert "Answered 500" in ops_client.get(LOG).text

    assert editor_client.post(f"{LOG}{delivery.pk}/retry/").status_code == 404
    assert "It is sent again" in ops_client.post(f"{LOG}{delivery.pk}/retry/", follow=True).text
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("queued", 0)
    assert "It was not given up" in ops_client.post(f"{LOG}{delivery.pk}/retry/", follow=True).text


def test_pages_cost_the_same_for_more(ops: User, ops_client: Client, make_channel: Make) -> None:
    make_test(make_channel(name="first", owner=ops))
    before = queries(ops_client, PAGE), queries(ops_client, LOG)
    for number in range(30):
        channel = make_channel(name=f"Room {number}", owner=ops if number % 2 else None)
        for _ in range(3):
            make_test(channel)
    assert (queries(ops_client, PAGE), queries(ops_client, LOG)) == before
