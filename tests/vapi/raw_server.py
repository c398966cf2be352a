"""A server below HTTP, for answers that no web framework would send."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raw_server(*answers: bytes, reset: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Its URL and what it was asked. Each connection gets the next bytes and is closed, or reset."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        for sent in answers:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.settimeout(5)
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(sent)
                if reset:
                    time.sleep(0.05)
                    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        # Wakes the thread where fewer connections came than were planned for.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
