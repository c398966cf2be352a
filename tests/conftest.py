"""Fixtures of the whole suite: an organization, people by name, and clients signed in as them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client, TransactionTestCase
from pytest_django import Settings

from sessions_app.management.bootstrap import SANDBOX_BUDGET, SANDBOX_KEY, bootstrap_groups
from sessions_app.models import Organization
from sessions_app.models.organizations import WriteMode
from sessions_app.models.rights import ADMINISTRATORS, OPERATIONS, SUPPORT
from tests.emptying import empty_database

if TYPE_CHECKING:
    from tests.sandbox_process import SandboxProcess

pytest_plugins = ["tests.sandbox_process", "tests.worker_process", "tests.required"]

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Give each run and each xdist worker a database of its own; SQLite's is a file, as in daily use."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    name = f"vapiadmin_{os.environ['TEST_RUN']}_{worker}"
    default = connections["default"]
    if default.vendor == "sqlite":
        name = f"{os.environ['VAR_DIR']}/{name}.sqlite3"
    default.settings_dict["TEST"] = {**default.settings_dict.get("TEST", {}), "NAME": name}


@pytest.fixture(scope="session", autouse=True)
def emptied_quickly() -> Iterator[None]:
    """After a test that commits, only what it filled is emptied."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty_database())
        yield


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Signing in is tested, not how slow a password's hash is."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def static_files_when_asked_for(settings: Settings) -> None:
    """Else every new client's first request looks at all four hundred of them."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def organization(db: None, request: pytest.FixtureRequest) -> Organization:
    """The simulated organization, writing on. It is at the sandbox's address when the test uses `sandbox`."""
    url = NOBODY_LISTENS
    if "sandbox" in request.fixturenames:
        sandbox: SandboxProcess = request.getfixturevalue("sandbox")
        url = sandbox.url
    return Organization.objects.create(
        slug="sandbox",
        name="Sandbox",
        base_url=url,
        api_key=SANDBOX_KEY,
        is_sandbox=True,
        write_mode=WriteMode.ON,
        **SANDBOX_BUDGET,
    )


@pytest.fixture
def make_person(db: None) -> Callable[..., User]:
    """make_person("name", group="Support", staff=True)"""

    def make(name: str, *, group: str = "", staff: bool = True, superuser: bool = False) -> User:
        person = User.objects.create_user(name, password=name, is_staff=staff, is_superuser=superuser)
        if group:
            person.groups.add(bootstrap_groups()[group])
        return person

    return make


@pytest.fixture
def stranger(make_person: Callable[..., User]) -> User:
    """Can sign in, may do nothing."""
    return make_person("stranger")


@pytest.fixture
def viewer(make_person: Callable[..., User]) -> User:
    """Reads conversations and edits, changes nothing, sees no costs."""
    person = make_person("viewer")
    person.user_permissions.set(
        Permission.objects.filter(codename__in=["view_session", "view_chat", "view_edit"])
    )
    return person


@pytest.fixture
def editor(make_person: Callable[..., User]) -> User:
    """Support: reads and corrects conversations."""
    return make_person("editor", group=SUPPORT)


@pytest.fixture
def ops(make_person: Callable[..., User]) -> User:
    """Operations: costs and syncs too."""
    return make_person("ops", group=OPERATIONS)


@pytest.fixture
def administrator(make_person: Callable[..., User]) -> User:
    """A member of Administrators, whose rights are that group's alone."""
    return make_person("administrator", group=ADMINISTRATORS)


@pytest.fixture
def admin(make_person: Callable[..., User]) -> User:
    """A superuser."""
    return make_person("admin", superuser=True)


@pytest.fixture
def sign_in() -> Callable[[User], Client]:
    """sign_in(editor) is a browser where they are signed in."""

    def make(person: User) -> Client:
        client = Client()
        client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return make


@pytest.fixture
def stranger_client(stranger: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(stranger)


@pytest.fixture
def viewer_client(viewer: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(viewer)


@pytest.fixture
def editor_client(editor: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(editor)


@pytest.fixture
def ops_client(ops: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(ops)


@pytest.fixture
def admin_client(admin: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(admin)
