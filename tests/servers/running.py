"""What runs from when it is made until it is stopped, and is stopped by leaving its block.

    with Nginx(directory) as server:
        ...

`InProcess` is a server that is a program, `InThread` one that is written here.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from http.server import HTTPServer
from types import TracebackType
from typing import Self

from tests.servers.process import Process, with_retries

# Seconds between two looks of a server in a thread at whether it has to stop.
_POLL = 0.05


class Running(ABC):
    """Runs from when it is made."""

    @abstractmethod
    def stop(self) -> object:
        """Ends it, and returns when it has ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class InProcess(Running):
    """A program that serves on `port` of 127.0.0.1.

    `start` sets the port and gives the process once it answers; it is called again if that failed.
    """

    def __init__(self, start: Callable[[], Process]) -> None:
        self.port = 0
        self._process = with_retries(start)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.stop()


class InThread(Running):
    """A server of the standard library, in a thread of this process."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(_POLL,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self.server.server_port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
