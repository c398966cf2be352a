"""People and groups: nobody gives rights that they do not have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from sessions_app.models.rights import ADMINISTRATORS, GROUPS, SUPPORT
from sessions_app.tokens import make_token


def test_an_administrator_makes_a_colleague(administrator: User, sign_in: Callable[[User], Client]) -> None:
    browser = sign_in(administrator)
    new = {
        "username": "new",
        "usable_password": "true",
        "password1": "long-enough-1",
        "password2": "long-enough-1",
    }
    assert browser.post("/admin/auth/user/add/", new).status_code == 302
    person = User.objects.get(username="new")
    assert person.is_staff
    group = Group.objects.get(name=SUPPORT)
    form = {"username": "new", "is_active": "on", "is_staff": "on", "groups": [group.pk]}
    assert browser.post(f"/admin/auth/user/{person.pk}/change/", form).status_code == 302
    assert User.objects.get(pk=person.pk).has_perm("sessions_app.edit_session")


def test_an_administrator_makes_no_superuser(administrator: User, sign_in: Callable[[User], Client]) -> None:
    form = {"username": "administrator", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    sign_in(administrator).post(f"/admin/auth/user/{administrator.pk}/change/", form)
    assert not User.objects.get(pk=administrator.pk).is_superuser


def test_an_administrator_takes_over_no_superuser(
    administrator: User, admin: User, sign_in: Callable[[User], Client]
) -> None:
    browser = sign_in(administrator)
    new = {"usable_password": "true", "password1": "long-enough-1", "password2": "long-enough-1"}
    assert browser.post(f"/admin/auth/user/{admin.pk}/password/", new).status_code == 403
    assert browser.post(f"/admin/auth/user/{admin.pk}/change/", {"username": "x"}).status_code == 403
    assert browser.post(f"/admin/auth/user/{admin.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.get(pk=admin.pk).check_password("admin")


@pytest.fixture
def clerk(make_person: Callable[..., User]) -> User:
    """Support that keeps people's accounts."""
    person = make_person("clerk", group=SUPPORT)
    person.user_permissions.set(Permission.objects.filter(codename__in=["add_user", "change_user"]))
    return person


def test_nobody_gives_more_than_they_have(clerk: User, sign_in: Callable[[User], Client]) -> None:
    browser, address = sign_in(clerk), f"/admin/auth/user/{clerk.pk}/change/"
    groups = {group.name: group for group in Group.objects.all()}
    offered = browser.get(address).context["adminform"].form.fields["groups"].queryset
    assert list(offered) == [groups[SUPPORT]]

    form = {"username": "clerk", "is_active": "on", "is_staff": "on", "groups": [groups[ADMINISTRATORS].pk]}
    assert "not one of the available choices" in browser.post(address, form).content.decode()
    assert browser.post(address, {**form, "groups": [groups[SUPPORT].pk]}).status_code == 302
    assert [group.name for group in clerk.groups.all()] == [SUPPORT]


@pytest.mark.parametrize("is_active", [True, False])
def test_nobody_takes_over_who_may_do_more(
    clerk: User, administrator: User, editor: User, sign_in: Callable[[User], Client], is_active: bool
) -> None:
    User.objects.filter(pk=administrator.pk).update(is_active=is_active)
    browser = sign_in(clerk)
    new = {"usable_password": "true", "password1": "long-enough-1", "password2": "long-enough-1"}
    form = {"username": "x", "is_active": "on", "is_staff": "on"}

    assert browser.post(f"/admin/auth/user/{administrator.pk}/password/", new).status_code == 403
    assert browser.post(f"/admin/auth/user/{administrator.pk}/change/", form).status_code == 403
    assert browser.post(f"/admin/auth/user/{editor.pk}/password/", new).status_code == 302

    administrator.refresh_from_db()
    assert (administrator.username, administrator.is_active) == ("administrator", is_active)
    assert administrator.check_password("administrator")
    assert User.objects.get(pk=editor.pk).check_password("long-enough-1")


def test_who_keeps_groups_gives_them_no_more_than_they_have(
    clerk: User, administrator: User, sign_in: Callable[[User], Client]
) -> None:
    clerk.user_permissions.add(*Permission.objects.filter(codename__in=["add_group", "change_group"]))
    browser, group = sign_in(clerk), Group.objects.get(name=ADMINISTRATORS)
    before = set(group.permissions.all())
    delete, edit = (Permission.objects.get(codename=name) for name in ("delete_at_vapi", "edit_session"))

    refused = browser.post("/admin/auth/group/add/", {"name": "Own", "permissions": [delete.pk]})
    assert "not one of the available choices" in refused.content.decode()
    assert (
        browser.post("/admin/auth/group/add/", {"name": "Own", "permissions": [edit.pk]}).status_code == 302
    )
    assert browser.post(f"/admin/auth/group/{group.pk}/change/", {"name": "x"}).status_code == 403

    assert list(Group.objects.get(name="Own").permissions.all()) == [edit]
    assert set(group.permissions.all()) == before


def test_one_changes_ones_own_password(editor: User, sign_in: Callable[[User], Client]) -> None:
    form = {"old_password": "editor", "new_password1": "long-enough-1", "new_password2": "long-enough-1"}
    assert sign_in(editor).post("/admin/password_change/", form).status_code == 302
    assert User.objects.get(pk=editor.pk).check_password("long-enough-1")


def test_a_group_of_ones_own_can_be_given_every_right_of_ours(
    admin: User, sign_in: Callable[[User], Client]
) -> None:
    page = sign_in(admin).get("/admin/auth/group/add/").context["adminform"].form
    offered = set(page.fields["permissions"].queryset.values_list("codename", flat=True))
    ours = {
        codename
        for model in apps.get_app_config("sessions_app").get_models()
        for codename, _ in model._meta.permissions
    }
    assert ours <= offered
    assert offered >= set(GROUPS[ADMINISTRATORS])


def test_whoever_lets_somebody_go_is_told_of_their_tokens(
    admin: User, editor: User, sign_in: Callable[[User], Client]
) -> None:
    make_token("Warehouse", ["sessions:read"], created_by=editor)
    make_token("Gone", ["sessions:read"], created_by=editor, expires_at=timezone.now() - timedelta(days=1))
    make_token("Another's", ["sessions:read"], created_by=admin)
    browser = sign_in(admin)
    form = {"username": "editor", "is_staff": "on"}

    page = browser.post(f"/admin/auth/user/{editor.pk}/change/", {**form, "is_active": "on"}, follow=True)
    assert "still in force" not in page.content.decode()
    page = browser.post(f"/admin/auth/user/{editor.pk}/change/", form, follow=True)

    assert "API tokens that editor made are still in force (Warehouse)" in page.content.decode()
    assert (
        "by <bdi>editor</bdi>, who has left" in browser.get("/admin/sessions_app/apitoken/").content.decode()
    )
