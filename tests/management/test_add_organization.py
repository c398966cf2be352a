"""`manage.py add_organization`."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from sessions_app.models import Organization

KEY = "a-key-that-nobody-may-see"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return path


def _add(*arguments: object) -> str:
    out = io.StringIO()
    call_command("add_organization", *map(str, arguments), stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db
def test_adds_one_with_writing_off_and_its_key_encrypted(key_file: Path) -> None:
    told = _add("second", "--name", "Second", "--base-url", "https://eu.example/", "--key-file", key_file)
    second = Organization.objects.get()
    assert (second.slug, second.name, second.base_url) == ("second", "Second", "https://eu.example")
    assert (second.api_key, second.write_mode, second.is_sandbox) == (KEY, "off", False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM sessions_app_organization")
        assert KEY not in str(cursor.fetchone())
    assert KEY not in told


@pytest.mark.django_db
def test_reads_the_key_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY + "\n"))
    _add("second")
    assert Organization.objects.get().api_key == KEY


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["Second", "a b", "-x", ""])
def test_refuses_a_slug_that_does_not_fit_in_an_address(slug: str, key_file: Path) -> None:
    with pytest.raises(CommandError) as ending:
        _add("--key-file", key_file, "--", slug)
    assert ending.value.returncode == 2
    assert not Organization.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("content", ["", "two words", "line\nline", "kéy"])
def test_refuses_what_is_no_key(content: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(CommandError, match="no API key"):
        _add("second", "--key-file", path)


def test_refuses_a_second_one_of_the_same_name_and_real_ones_beside_the_demo(
    organization: Organization, key_file: Path
) -> None:
    with pytest.raises(CommandError, match="already exists"):
        _add(organization.slug, "--key-file", key_file)
    with pytest.raises(CommandError, match="demo data"):
        _add("second", "--key-file", key_file)
    assert Organization.objects.count() == 1
