"""Rebuilding the rollup and finding where it differs, also beside a writer."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from sessions_app.costs.rebuild import check_rollup, rebuild_rollup
from sessions_app.models import CostLine, CostRollup, Organization, ReportedCost, Session
from tests.costs.amounts import NOON, change, line, make_organization, reported, store


def rows() -> list[tuple[object, ...]]:
    return list(
        CostRollup.objects.order_by(*CostRollup.KEY).values_list(*CostRollup.KEY, *CostRollup.MEASURES)
    )


@pytest.fixture
def acme(db: None) -> Organization:
    acme = make_organization(zone="Asia/Kolkata")
    for number in range(12):
        parent, source = f"x{number}", ("session", "chat")[number % 2]
        store(
            acme,
            reported(acme, None if number == 3 else f"0.{number}1", parent=parent, source=source),
            line(acme, f"0.0{number}3", parent=parent, source=source, prompt_tokens=number),
            line(acme, None, parent=parent, source=source, kind="analysis"),
        )
    return acme


def test_a_rebuilt_rollup_is_the_one_that_was_kept(acme: Organization) -> None:
    kept = rows()

    CostRollup.objects.all().delete()
    assert rebuild_rollup(acme) == len(kept)

    assert rows() == kept


def test_a_rebuild_leaves_other_organizations_alone(acme: Organization) -> None:
    other = make_organization("other")
    change(other, new=[line(other, "5")])

    rebuild_rollup(acme)

    assert CostRollup.objects.get(organization=other).cost_usd == Decimal(5)


def test_another_time_zone_moves_amounts_to_its_days(acme: Organization) -> None:
    late = datetime(2026, 5, 1, 20, tzinfo=UTC)  # 2 May in Kolkata
    store(acme, reported(acme, "3", parent="late", occurred_at=late))
    acme.report_time_zone = "UTC"
    acme.save()
    assert check_rollup(acme) != []

    rebuild_rollup(acme)

    assert check_rollup(acme) == []
    assert CostRollup.objects.filter(day=date(2026, 5, 1)).exists()
    assert not CostRollup.objects.filter(day=date(2026, 5, 2)).exists()


def test_a_sound_rollup_has_no_differences(acme: Organization) -> None:
    assert check_rollup(acme) == []


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda: CostRollup.objects.filter(is_itemized=True).update(line_count=77), "rollup"),
        (
            lambda: CostLine.objects.filter(parent_id="x4", kind="model").update(cost_usd=Decimal("0.5")),
            "itemized",
        ),
        (lambda: Session.objects.filter(pk="x4").update(cost_usd=Decimal("0.5")), "reported"),
        (lambda: ReportedCost.objects.filter(parent_id="x3").delete(), "reported"),
        (lambda: Session.objects.filter(pk="x4").delete(), "itemized"),
    ],
)
def test_damage_is_found(acme: Organization, damage: object, what: str) -> None:
    damage()  # type: ignore[operator]  # one of the above

    assert what in {difference.what for difference in check_rollup(acme)}


def test_the_commands_say_what_they_found(acme: Organization, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("check_costs", json=True)
    assert json.loads(capsys.readouterr().out) == {"checks": [{"organization": "acme", "differences": []}]}
    CostRollup.objects.filter(is_itemized=True).update(line_count=77)

    with pytest.raises(SystemExit, match="1"):
        call_command("check_costs", json=True)
    (check,) = json.loads(capsys.readouterr().out)["checks"]
    assert check["differences"][0]["stored"]["line_count"] == 77

    call_command("rebuild_rollups", json=True)
    (rebuilt,) = json.loads(capsys.readouterr().out)["rollups"]
    assert rebuilt == {"organization": "acme", "rows": CostRollup.objects.count()}
    call_command("check_costs")
    assert "equal" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["check_costs", "rebuild_rollups"])
def test_an_unknown_organization_is_a_usage_error(acme: Organization, command: str) -> None:
    with pytest.raises(CommandError) as error:
        call_command(command, organization="nobody")
    assert error.value.returncode == 2


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_beside_a_writer_counts_each_line_once() -> None:
    """The writer has stored its line, and not yet its sum, when the rebuild begins (SQLite: waits to begin)."""
    acme = make_organization()
    store(acme, reported(acme, "1"))
    stored, go_on = Event(), Event()

    def write() -> None:
        try:
            with transaction.atomic():
                row = line(acme, "0.25", occurred_at=NOON)
                columns = row._asdict() | {"cost_usd": Decimal("0.25")}
                columns.pop("cost_pico")
                CostLine.objects.create(**columns)
                stored.set()
                go_on.wait(10)
                change(acme, new=[row])
        finally:
            connection.close()

    writer = Thread(target=write)
    writer.start()
    assert stored.wait(10)
    if connection.vendor == "postgresql":
        rebuild_rollup(acme)
        go_on.set()
    else:
        go_on.set()
        rebuild_rollup(acme)
    writer.join(20)

    assert CostRollup.objects.get(is_itemized=True).cost_usd == Decimal("0.25")
    assert CostRollup.objects.get(is_itemized=True).line_count == 1
