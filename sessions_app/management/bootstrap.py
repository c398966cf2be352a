"""What a new database needs before anyone can work: groups, organizations and the first people.

Safe to repeat: what is there is left as people have changed it, but for the groups' permissions.
Knows nothing of processes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import Group, Permission, User

from sessions_app.models import Organization, WebhookSecret
from sessions_app.models.organizations import WriteMode
from sessions_app.models.rights import ADMINISTRATORS, GROUPS, OPERATIONS, SUPPORT
from sessions_app.models.webhooks import SecretKind

DEFAULT = "default"
SANDBOX = "sandbox"
SANDBOX_KEY = "sandbox-key"  # the key of a simulated organization, on loopback only
# A simulated Vapi need not be spared.
SANDBOX_BUDGET: dict[str, int] = {"requests_per_second": 200, "concurrent_requests": 16}


@dataclass(frozen=True)
class Login:
    """Shown once to the person at the terminal."""

    username: str
    password: str
    about: str


def bootstrap_groups() -> dict[str, Group]:
    """Make the groups and give each exactly its permissions; people's own groups are left alone."""
    groups = {}
    for name, codenames in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(
            Permission.objects.filter(
                content_type__app_label__in=("sessions_app", "auth"), codename__in=codenames
            )
        )
        groups[name] = group
    return groups


def bootstrap_default() -> Organization:
    """Return the organization whose key is VAPI_API_KEY; its address follows VAPI_BASE_URL."""
    organization, _ = Organization.objects.get_or_create(
        slug=DEFAULT,
        defaults={
            "name": "Vapi",
            "base_url": settings.VAPI_BASE_URL,
            "report_time_zone": settings.TIME_ZONE,
        },
    )
    return _at(organization, settings.VAPI_BASE_URL)


def bootstrap_sandbox(url: str) -> Organization:
    """Return the demo's organization, at the address where its simulated Vapi listens now."""
    organization, is_new = Organization.objects.get_or_create(
        slug=SANDBOX,
        defaults={
            "name": "Sandbox",
            "base_url": url,
            "api_key": SANDBOX_KEY,
            "is_sandbox": True,
            "write_mode": WriteMode.ON,
            "report_time_zone": settings.TIME_ZONE,
            **SANDBOX_BUDGET,
        },
    )
    if is_new:
        # The simulated Vapi signs its messages with it. Whoever retires it wants none.
        WebhookSecret.objects.create(
            organization=organization, kind=SecretKind.HMAC, secret=secrets.token_urlsafe(32)
        )
    return _at(organization, url)


def bootstrap_demo_people() -> list[Login]:
    """Make a person of each group, with passwords that are no secret: the demo holds invented rows only."""
    groups = bootstrap_groups()
    logins = [
        Login("support", "demo-support", "reads and corrects conversations"),
        Login("ops", "demo-operations", "the same, and costs and syncs"),
        Login("admin", "demo-admin", "everything"),
    ]
    for login, group in zip(logins, (SUPPORT, OPERATIONS, ADMINISTRATORS), strict=True):
        _make_person(login, groups[group], is_superuser=login.username == "admin")
    return logins


def bootstrap_first_admin() -> Login | None:
    """Make one administrator with a random password where there is nobody yet; None otherwise."""
    groups = bootstrap_groups()
    if User.objects.exists():
        return None
    login = Login("admin", secrets.token_urlsafe(15), "shown only now: keep it")
    _make_person(login, groups[ADMINISTRATORS], is_superuser=True)
    return login


def _at(organization: Organization, url: str) -> Organization:
    if organization.base_url != url:
        organization.base_url = url
        organization.save(update_fields=["base_url"])
    return organization


def _make_person(login: Login, group: Group, *, is_superuser: bool) -> None:
    if User.objects.filter(username=login.username).exists():
        return
    user = User(username=login.username, is_staff=True, is_superuser=is_superuser)
    user.set_password(login.password)
    user.save()
    user.groups.add(group)
