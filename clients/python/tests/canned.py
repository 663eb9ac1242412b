"""A server whose answers a test writes, and a proxy that cuts connections."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COLUMNS = "application/vnd.varve.columns"


class Canned:
    """Answers each request with the next of `answers`: (status, content type, body, headers)."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str, bytes, dict[str, str]]] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, json.loads(content or b"{}")))
                status, kind, body, headers = outer.answers.pop(0)
                self.send_response(status)
                length = {} if "Transfer-Encoding" in headers else {"Content-Length": str(len(body))}
                for name, value in {"Content-Type": kind, **length, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                self.headers["Content-Length"] = "0"
                self.do_POST()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def columns(self, body: bytes, **headers: str) -> None:
        """Let the next answer be a stream."""
        self.answers.append((200, COLUMNS, body, headers))

    def chunked(self, body: bytes, **headers: str) -> None:
        """Let the next answer be a stream whose body is sent as it is, chunks of HTTP and all."""
        self.answers.append((200, COLUMNS, body, {"Transfer-Encoding": "chunked", **headers}))

    def json(self, answer: Any, status: int = 200, **headers: str) -> None:
        """Let the next answer be JSON."""
        self.answers.append((status, "application/json", json.dumps(answer).encode(), headers))

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Proxy:
    """Passes connections on; `cut` says after how many bytes of the n-th answer connection it ends, None never."""

    def __init__(self, url: str, cut: Callable[[int], int | None]) -> None:
        host, port = url.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._cut = cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            threading.Thread(target=self._serve, args=(inner, self._cut(number)), daemon=True).start()

    def _serve(self, inner: socket.socket, cut: int | None) -> None:
        with inner, socket.create_connection(self._target) as outer:
            up = threading.Thread(target=self._up, args=(inner, outer), daemon=True)
            up.start()
            passed = 0
            try:
                while part := outer.recv(1 << 16):
                    if cut is not None and passed + len(part) > cut:
                        inner.sendall(part[: cut - passed])
                        break
                    inner.sendall(part)
                    passed += len(part)
            except OSError:
                pass
            for end in (inner, outer):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            up.join()

    def _up(self, inner: socket.socket, outer: socket.socket) -> None:
        try:
            while part := inner.recv(1 << 16):
                self.requests.append(part)
                outer.sendall(part)
        except OSError:
            return

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
