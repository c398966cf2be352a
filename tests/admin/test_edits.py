"""Edits in the browser: their list, a conflict settled, one withdrawn, one tried again."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from sessions_app.models import Edit, Organization
from sessions_app.models.edits import EditState
from tests.admin.rows import mirror_session

URL = "/admin/sessions_app/edit/"


@pytest.fixture
def edit(organization: Organization) -> Edit:
    mirror_session(organization, name="Before", customer={"name": "Ada Byron"})
    return Edit.objects.create(
        organization=organization,
        session_id="session-1",
        base={"name": "Before", "status": "active"},
        fields={"name": "Mine", "status": "completed"},
    )


@pytest.fixture
def conflict(edit: Edit) -> Edit:
    edit.state, edit.theirs = EditState.CONFLICT, {"name": "Theirs"}
    edit.save()
    return edit


def test_the_list_says_whose_what_and_where_it_stands(editor_client: Client, edit: Edit) -> None:
    page = editor_client.get(URL).content.decode()
    for words in ("Ada Byron", "Before", "Mine", "queued"):
        assert words in page
    assert "Ada Byron" not in editor_client.get(f"{URL}?state=applied").content.decode()


def test_a_conflict_shows_base_theirs_and_mine(editor_client: Client, conflict: Edit) -> None:
    page = editor_client.get(f"{URL}{conflict.pk}/change/").content.decode()
    for words in ("Before", "Theirs", "Mine", "Send mine", "Take theirs", "Choose which value is to stand"):
        assert words in page
    assert page.count('name="field-name"') == 3, "theirs, mine, or a value of one's own"
    assert 'name="field-status"' not in page, "it did not collide"
    assert "Apply the choice by field" in page


def test_where_several_fields_collided_each_is_chosen(editor_client: Client, conflict: Edit) -> None:
    conflict.theirs = {"name": "Theirs", "status": "paused"}
    conflict.save()
    page = editor_client.get(f"{URL}{conflict.pk}/change/").content.decode()
    for field in ("name", "status"):
        assert page.count(f'name="field-{field}"') == 3
    assert "Apply the choice by field" in page


def test_send_mine_queues_a_new_edit_on_the_base_of_theirs(editor_client: Client, conflict: Edit) -> None:
    answer = editor_client.post(f"{URL}{conflict.pk}/resolve/", {"all": "mine"})
    new = Edit.objects.latest("pk")
    assert answer["Location"] == f"{URL}{new.pk}/change/"
    assert (new.state, new.base["name"], new.fields["name"]) == (EditState.QUEUED, "Theirs", "Mine")
    assert new.author_name == "editor"
    assert Edit.objects.get(pk=conflict.pk).state == EditState.SUPERSEDED


def test_take_theirs_keeps_what_did_not_collide(editor_client: Client, conflict: Edit) -> None:
    editor_client.post(f"{URL}{conflict.pk}/resolve/", {"field-name": "theirs"})
    assert Edit.objects.latest("pk").fields == {"status": "completed"}


def test_a_field_left_open_is_told(editor_client: Client, conflict: Edit) -> None:
    page = editor_client.post(f"{URL}{conflict.pk}/resolve/", {}).content.decode()
    assert "va-notice--error" in page
    assert Edit.objects.get().state == EditState.CONFLICT


def test_a_value_that_is_refused_stands_there_to_be_mended(editor_client: Client, conflict: Edit) -> None:
    asked = {"field-name": "value", "value-name": "x" * 41}
    page = editor_client.post(f"{URL}{conflict.pk}/resolve/", asked).content.decode()
    assert "va-notice--error" in page
    assert f'value="{"x" * 41}"' in page
    assert len(re.findall(r'value="value"\s+checked', page)) == 1
    assert len(re.findall(r"\schecked", page)) == 1
    assert Edit.objects.get().state == EditState.CONFLICT


def test_withdrawing(editor_client: Client, edit: Edit) -> None:
    page = editor_client.post(f"{URL}{edit.pk}/withdraw/", follow=True).content.decode()
    assert "nothing is sent" in page
    assert Edit.objects.get().state == EditState.WITHDRAWN


def test_withdrawing_too_late_is_told(editor_client: Client, edit: Edit) -> None:
    Edit.objects.update(state=EditState.APPLIED)
    page = editor_client.post(f"{URL}{edit.pk}/withdraw/", follow=True).content.decode()
    assert "This edit is applied now" in page
    assert Edit.objects.get().state == EditState.APPLIED


def test_trying_again_what_was_given_up(editor_client: Client, edit: Edit) -> None:
    Edit.objects.update(state=EditState.FAILED, error="Vapi did not answer")
    assert "Try again" in editor_client.get(f"{URL}{edit.pk}/change/").content.decode()
    editor_client.post(f"{URL}{edit.pk}/retry/")
    assert Edit.objects.latest("pk").state == EditState.QUEUED


def test_a_rejection_is_shown_in_vapis_words(editor_client: Client, edit: Edit) -> None:
    Edit.objects.update(state=EditState.REJECTED, error="name must be shorter than or equal to 40 characters")
    for address in (URL, f"{URL}{edit.pk}/change/", "/admin/sessions_app/session/session-1/change/"):
        assert "name must be shorter" in editor_client.get(address).content.decode()


@pytest.mark.parametrize("pk", ["0", "999", "abc", "9" * 30, "²"])
def test_an_edit_that_is_not_there(editor_client: Client, edit: Edit, pk: str) -> None:
    assert editor_client.get(f"{URL}{pk}/change/").status_code == 404


def test_words_that_were_taken_away_are_not_shown_beside_what_stands_there_now(
    editor_client: Client, organization: Organization
) -> None:
    said = [{"role": "user", "content": "my number is 1234"}]
    mirror_session(organization, messages=[{"role": "user", "content": "[withheld]"}])
    operation = {"do": "redact", "position": 0, "digest": "a", "after": "b"}
    edit = Edit.objects.create(
        organization=organization, session_id="session-1", kind="messages", state=EditState.APPLIED,
        base={"messages": said}, fields={"messages": ["redact"]}, operations=[operation],
    )  # fmt: skip
    for address in (f"{URL}{edit.pk}/change/", URL, "/admin/sessions_app/session/session-1/change/"):
        page = editor_client.get(address).content.decode()
        assert "its words" in page, address
        assert "1234" not in page, address
