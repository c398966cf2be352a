"""Faults hit the requests that they name, and a client sees them as it would on a bad day."""

import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from sessions_app.sandbox.faults import parse_faults
from sessions_app.sandbox.options import BadOption
from tests.sandbox_process import SandboxProcess


def get(sandbox: SandboxProcess, path: str = "/session?limit=5", timeout: float = 10) -> requests.Response:
    return requests.get(
        sandbox.url + path, headers={"Authorization": f"Bearer {sandbox.key}"}, timeout=timeout
    )


def rename(sandbox: SandboxProcess, id_: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.key}"}
    return requests.patch(
        f"{sandbox.url}/session/{id_}", json={"name": "Renamed"}, headers=headers, timeout=10
    )


def test_429_with_seconds_then_well_again(sandbox: SandboxProcess) -> None:
    sandbox.fault("429:count=2,retry_after=3")
    answers = [get(sandbox) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert answers[0].json()["error"] == "Too Many Requests"
    assert [entry["fault"] for entry in sandbox.journal()] == ["429", "429", ""]


def test_a_write_that_is_carried_out_twice(sandbox: SandboxProcess) -> None:
    id_ = sandbox.truth()[0]["id"]
    sandbox.fault("twice:method=PATCH,count=1")
    first, second = rename(sandbox, id_), rename(sandbox, id_)
    assert (first.status_code, first.json()["name"]) == (200, "Renamed")
    assert [entry["fault"] for entry in sandbox.journal("PATCH")] == ["twice", ""]
    assert sandbox.truth_of(id_)["updatedAt"] == second.json()["updatedAt"]
    assert sandbox.truth_of("nobody") is None


def test_429_with_a_date(sandbox: SandboxProcess) -> None:
    sandbox.fault("429:date=1,retry_after=120")
    answer = get(sandbox)
    told = parsedate_to_datetime(answer.headers["Retry-After"]) - parsedate_to_datetime(
        answer.headers["Date"]
    )
    assert told.total_seconds() == pytest.approx(120, abs=1)


def test_a_fault_skips_counts_and_chooses_by_method_path_and_key(sandbox: SandboxProcess) -> None:
    sandbox.fault("503:method=GET,path=/session,skip=1,count=1,key=sandbox-key;500:path=~^/chat/.+")
    assert [get(sandbox).status_code for _ in range(3)] == [200, 503, 200]
    assert get(sandbox, "/chat?limit=1").status_code == 200
    assert get(sandbox, "/chat/any").status_code == 500


def test_a_share_of_requests_is_hit_the_same_way_each_time(sandbox: SandboxProcess) -> None:
    runs = []
    for _ in range(2):
        sandbox.fault("500:p=0.5,seed=4")
        runs.append([get(sandbox, "/session?limit=0").status_code for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_a_lost_answer_is_carried_out(sandbox: SandboxProcess) -> None:
    id_ = sandbox.truth()[0]["id"]
    sandbox.fault("lost:method=PATCH,count=1")
    with pytest.raises(requests.ConnectionError):
        rename(sandbox, id_)
    assert sandbox.truth()[0]["name"] == "Renamed"
    assert [(entry["status"], entry["fault"]) for entry in sandbox.journal("PATCH")] == [(None, "lost")]


def test_a_refusal_is_not_carried_out(sandbox: SandboxProcess) -> None:
    first = sandbox.truth()[0]
    sandbox.fault("500:method=PATCH")
    assert rename(sandbox, first["id"]).status_code == 500
    assert sandbox.truth()[0]["updatedAt"] == first["updatedAt"]


def test_a_timeout_comes_too_late_for_an_impatient_client(sandbox: SandboxProcess) -> None:
    sandbox.fault("timeout:seconds=1,count=1")
    with pytest.raises(requests.ReadTimeout):
        get(sandbox, timeout=0.2)
    assert get(sandbox, timeout=5).status_code == 200


def test_a_body_that_breaks_off(sandbox: SandboxProcess) -> None:
    sandbox.fault("reset:count=1")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        get(sandbox)
    sandbox.fault("truncated:count=1")
    with pytest.raises(requests.JSONDecodeError):
        get(sandbox).json()


def test_a_proxys_page(sandbox: SandboxProcess) -> None:
    sandbox.fault("html200:count=1;html:count=1,status=502")
    answers = [get(sandbox), get(sandbox)]
    assert [answer.status_code for answer in answers] == [200, 502]
    assert all(answer.text.startswith("<html>") for answer in answers)


def test_latency_does_not_stop_other_faults(sandbox: SandboxProcess) -> None:
    sandbox.fault("latency:ms=80;500:count=1")
    began = time.monotonic()
    assert get(sandbox).status_code == 500
    assert time.monotonic() - began >= 0.08


def test_a_limit_that_is_silently_capped(sandbox: SandboxProcess) -> None:
    sandbox.fault("capped:limit=10")
    answer = get(sandbox, "/session?limit=1000").json()
    assert (len(answer["results"]), answer["metadata"]["itemsPerPage"]) == (10, 10)


@pytest.mark.parametrize("spec", ["flood", "429:count=many", "500:colour=red", "500:path=~(", "700"])
def test_a_specification_that_is_wrong_is_refused(sandbox: SandboxProcess, spec: str) -> None:
    with pytest.raises(BadOption):
        parse_faults(spec)
    with pytest.raises(AssertionError, match="400"):
        sandbox.fault(spec)


def test_rows_repeated_on_the_next_page(sandbox: SandboxProcess) -> None:
    sandbox.fault("repeated:rows=2")
    pages = [get(sandbox, f"/session?limit=5&page={page}").json()["results"] for page in (1, 2)]
    first, second = ([row["id"] for row in rows] for rows in pages)
    assert first[-1] == first[-2]
    assert second[:2] == first[-3:-1]


@pytest.mark.parametrize(
    ("how", "told"),
    [("missing", "absent"), ("null", None), ("wrong", {"totalItems": -3})],
)
def test_metadata_that_is_odd(sandbox: SandboxProcess, how: str, told: object) -> None:
    sandbox.fault(f"metadata:how={how}")
    answer = get(sandbox).json()
    found = answer.get("metadata", "absent")
    assert len(answer["results"]) == 5
    assert found == told or (isinstance(told, dict) and told.items() <= found.items())


def test_a_cursor_leads_through_everything_once(sandbox: SandboxProcess) -> None:
    assert get(sandbox, "/session?limit=5&cursor=any").status_code == 400
    sandbox.fault("cursor")
    path = "/session?limit=7&sortOrder=ASC"
    seen, cursor = [], ""
    while True:
        answer = get(sandbox, path + (f"&cursor={cursor}" if cursor else "")).json()
        seen += [row["id"] for row in answer["results"]]
        cursor = answer["metadata"].get("nextCursor")
        if not answer["results"] or not cursor:
            break
    assert seen == [row["id"] for row in sandbox.truth()]


def test_a_row_that_cannot_be_written_spoils_its_answers(sandbox: SandboxProcess) -> None:
    bad = sandbox.truth()[3]["id"]
    sandbox.fault(f"poison:id={bad},status=502")
    statuses = [get(sandbox, f"/session?sortOrder=ASC&limit=1&page={page}").status_code for page in (3, 4, 5)]
    assert statuses == [200, 502, 200]
    assert get(sandbox, f"/session/{bad}").status_code == 502
    sandbox.fault(f"poison:id={bad},how=nan")
    assert '"oddity":NaN' in get(sandbox, f"/session/{bad}").text


def test_a_store_shrinks_by_retention_without_a_word(sandbox: SandboxProcess) -> None:
    rows = sandbox.truth()
    boundary = rows[10]["createdAt"]
    sandbox.control("POST", "retention", {"itemsBeyondRetention": True, "before": boundary})
    assert [row["id"] for row in sandbox.truth()] == [row["id"] for row in rows[10:]]
    assert all(row["createdAt"] >= boundary for row in sandbox.truth("chats"))
    assert get(sandbox).json()["metadata"]["itemsBeyondRetention"] is True
