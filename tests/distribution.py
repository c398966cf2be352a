"""Early pytest plugin: how xdist shares the suite out among its workers, and what they begin with."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from sessions_app.vapi.reader import processors

# A whole product is started there, once for all tests of a module: one worker takes them all.
WITH_A_PRODUCT = (
    "tests/browser/test_axe.py",
    "tests/browser/test_walk.py",
    "tests/browser/test_bulk.py",
    "tests/management/test_run.py",
)
# Workers are killed there, or waited for.
_LONG = ("tests/test_faults_of_ours.py", "tests/test_killed_workers.py", "tests/edits/test_create.py")
_FIRST = (*WITH_A_PRODUCT, *_LONG)


class Scheduling(LoadScopeScheduling):
    """One test after another to whoever is free, but modules with a product as a whole.

    xdist's own groups are none with the node ids of pytest 9.2: github.com/pytest-dev/pytest-xdist/issues/1386
    """

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if module in WITH_A_PRODUCT else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers() -> int:
    """Many tests wait for processes that they started: two more than there are processors keep them busy."""
    return processors() + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nobody waits for it in the end."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    module = item.nodeid.partition("::")[0]
    return _FIRST.index(module) if module in _FIRST else len(_FIRST)
