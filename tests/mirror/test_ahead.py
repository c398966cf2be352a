"""Work beside each other: everything in its order, every problem in its place, every thread at its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest

from sessions_app.mirror import ahead as module
from sessions_app.mirror.ahead import ahead, side_by_side

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_takes_longer_holds_its_place() -> None:
    def work(item: int) -> int:
        time.sleep(0.05 if item % 2 == 0 else 0)
        return item * 10

    with side_by_side(work, iter(range(20)), 3) as done:
        assert list(done) == [item * 10 for item in range(20)]


def test_several_are_worked_on_at_once_and_no_more() -> None:
    both = threading.Barrier(2, timeout=10)
    at_work: list[int] = []
    most = 0

    def work(item: int) -> int:
        nonlocal most
        at_work.append(item)
        most = max(most, len(at_work))
        # Nobody gets on alone.
        both.wait()
        at_work.remove(item)
        return item

    with side_by_side(work, iter(range(10)), 2) as done:
        assert list(done) == list(range(10))
    assert most == 2


def test_nobody_runs_far_ahead_of_the_one_who_takes() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return item

    with side_by_side(work, iter(range(100)), 2) as done:
        for item in done:
            time.sleep(0.01)
            # This one and two beside each other.
            assert max(begun) <= item + 2
    assert len(begun) == 100


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("where", ["items", "work"])
def test_a_problem_comes_in_its_place_and_nothing_after_it(at_once: int, where: str) -> None:
    worked_on: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            if (where, item) == ("items", 5):
                raise LookupError("five")
            yield item

    def work(item: int) -> int:
        if (where, item) == ("work", 5):
            raise LookupError("five")
        worked_on.append(item)
        return item

    given: list[int] = []
    with pytest.raises(LookupError, match="five"), side_by_side(work, items(), at_once) as done:
        given.extend(done)
    assert given == [0, 1, 2, 3, 4]
    # The one beside it may have been under way.
    assert max(worked_on) <= 6


def test_whoever_leaves_early_leaves_no_thread() -> None:
    before = threading.active_count()
    with ahead(iter(range(1000))) as coming, side_by_side(str, coming, 2) as done:
        assert next(done) == "0"
    assert threading.active_count() == before


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_items(count: int) -> None:
    with side_by_side(str, iter(range(count)), 2) as done:
        assert list(done) == [str(item) for item in range(count)]


@pytest.mark.parametrize("where", ["items", "work"])
def test_an_item_that_somebody_has_in_hand_is_worked_on_when_another_comes_to_the_end(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever took the first one is put aside right after it, until the other thread has seen the end or a problem."""
    ended = threading.Event()

    class Lock:
        def __init__(self) -> None:
            self.lock, self.was_given_back = threading.Lock(), False

        def __enter__(self) -> None:
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            is_first, self.was_given_back = not self.was_given_back, True
            self.lock.release()
            if is_first:
                ended.wait(5)
                time.sleep(0.1)

    def items() -> Iterator[int]:
        yield 1
        if where == "work":
            yield 2
        ended.set()

    def work(item: int) -> int:
        if item == 2:
            ended.set()
            raise LookupError("two")
        return item * 10

    # Of all locks the one around the items alone.
    monkeypatch.setattr(module, "threading", SimpleNamespace(**{**vars(threading), "Lock": Lock}))
    given: list[int] = []

    def take() -> None:
        with suppress(LookupError), side_by_side(work, items(), 2) as done:
            given.extend(done)

    taker = threading.Thread(target=take, daemon=True)
    taker.start()
    taker.join(10)
    assert not taker.is_alive()
    assert given == [10]


@pytest.mark.django_db(transaction=False)
def test_in_a_transaction_there_is_no_thread() -> None:
    with side_by_side(lambda _: threading.get_ident(), iter(range(3)), 2) as done:
        assert set(done) == {threading.get_ident()}
