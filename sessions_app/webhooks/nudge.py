"""Tells workers that something came, beside the request: Vapi never waits for a broker, and a burst is one word."""

from __future__ import annotations

import threading
import time

from sessions_app import tasks

# How often at most; what comes between is found by the same look.
EVERY_SECONDS = 0.25
# While the broker is away, beat's sweep finds them once it is back.
AFTER_FAILURE_SECONDS = 5.0


class _Nudger:
    """A thread of this process, begun by the first message (a server forks before it serves)."""

    def __init__(self) -> None:
        self._came = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def nudge(self) -> None:
        self._came.set()
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="webhook-nudge", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while self._came.wait():
            self._came.clear()
            sent = tasks.send_now(tasks.process_events)
            time.sleep(EVERY_SECONDS if sent else AFTER_FAILURE_SECONDS)


nudge = _Nudger().nudge
