"""Connections to the server over HTTP.

The standard library's client is used because its answers can be read straight into the memory where they
stay; the known packages hand out `bytes`, one copy more of every sample, and are one more
dependency (docs/decisions/0021-python-reads-http-chunks.md).
"""

from __future__ import annotations

import http.client
import json
import math
import socket
import ssl
import time
import urllib.parse
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable, TypeVar

from varve.body import Body, PlainBody, body_of
from varve.errors import BrokenStream, NotReady, ServerError, TooMany, Unreachable, from_answer

__all__ = ["Connections", "Response"]

T = TypeVar("T")

#: Longest wait that a server can ask for before a request is tried again, in seconds.
RETRY_AFTER_MAX_S = 30.0
#: Idle connections that are kept.
IDLE_MAX = 8
#: Longest error body that is read, in bytes.
ERROR_BYTES_MAX = 1 << 20


class Response:
    """The answer to one request while it is read."""

    def __init__(self, raw: http.client.HTTPResponse, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._body: Body | None = None

    def number(self, header: str) -> int | None:
        """Give a header that holds an integer, None where it is absent or something else."""
        text = self._raw.headers.get(header)
        return int(text) if text is not None and text.isdecimal() else None

    @property
    def content_type(self) -> str:
        """Media type of the body."""
        return self._raw.headers.get_content_type()

    def body(self) -> Body:
        """Give the body to be read piece by piece, and in no other way."""
        self._body = body_of(self._raw, self._sock)
        return self._body

    def read(self) -> bytes:
        """Give the whole body."""
        try:
            return self._raw.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise BrokenStream(f"the connection broke while the answer was read: {error!r}") from error

    def lines(self) -> Iterator[bytes]:
        """Give the lines of the body, without their ends, as they come."""
        while True:
            try:
                line = self._raw.readline()
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise BrokenStream(f"the connection broke while it was followed: {error!r}") from error
            if not line:
                return
            yield line.rstrip(b"\r\n")

    def at_end(self) -> bool:
        """Read on to the end of the body, where nothing should be left, so that the connection can be used again."""
        return (self._body or PlainBody(self._raw)).at_end()


class Connections:
    """Connections to one server, taken by requests and given back; threads may share it.

    Parameters
    ----------
    url : str
        Address of the server, ``http://`` or ``https://``, with a path where a proxy adds one.
    timeout_s : float
        How long the server may be silent, in seconds.
    retries : int
        How often a request is sent again when the connection breaks or the server asks to wait.
    headers : mapping, optional
        Sent with every request.
    tls : ssl.SSLContext, optional
        For ``https``; the system's authorities otherwise.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float,
        retries: int,
        headers: Mapping[str, str] | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an address like http://127.0.0.1:17668")
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._path = parts.path.rstrip("/")
        self._tls = tls
        self._timeout_s = timeout_s
        self._headers = {"Content-Type": "application/json", "User-Agent": "varve-python", **(headers or {})}
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=IDLE_MAX)
        self.retries = retries
        self.url = url

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().close()

    def __del__(self) -> None:
        if hasattr(self, "_idle"):  # not so where the address was refused
            self.close()

    def _new(self) -> http.client.HTTPConnection:
        if self._https:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)

    @contextmanager
    def post(self, path: str, body: Mapping[str, Any] | None) -> Iterator[Response]:
        """Send a request once and give its answer.

        A body travels as JSON in a POST, because names of channels may hold anything; without one it is a GET.

        Raises
        ------
        ServerError
            The server refused.
        Unreachable
            There is no connection.
        """
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
        while True:
            reused = bool(self._idle)
            try:
                connection = self._idle.pop() if reused else self._new()
            except IndexError:  # another thread was quicker
                continue
            try:
                connection.request(method, f"{self._path}/api/v1/{path}", content, self._headers)
                sock = connection.sock
                raw = connection.getresponse()
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if reused and not isinstance(error, TimeoutError):
                    continue  # the server closed it while it was idle
                raise Unreachable(f"{self.url} does not answer: {error!r}") from error
            except BaseException:
                connection.close()
                raise
        response = Response(raw, sock)
        clean = False
        try:
            if raw.status != 200:
                refusal = _refusal(raw)
                clean = True
                raise refusal
            yield response
            clean = True
        finally:
            # What was left in the middle is cut: the server stops working on it.
            if clean and response.at_end():
                self._idle.append(connection)
            else:
                connection.close()

    def again(self, attempt: Callable[[], T]) -> T:
        """Try until it works: broken connections and servers that ask to wait are given `retries` more chances."""
        tries = 0
        while True:
            try:
                return attempt()
            except (BrokenStream, Unreachable):
                wait_s = 0.1 * 4**tries
                if tries >= self.retries:
                    raise
            except (TooMany, NotReady) as error:
                wait_s = 0.5 * 2**tries if error.retry_after_s is None else error.retry_after_s
                if tries >= self.retries or wait_s > RETRY_AFTER_MAX_S:
                    raise
            tries += 1
            time.sleep(min(wait_s, RETRY_AFTER_MAX_S))

    def json(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        """Ask for a JSON answer; broken connections are tried again."""

        def attempt() -> dict[str, Any]:
            with self.post(path, body) as response:
                content = response.read()
            try:
                answer = json.loads(content)
            except ValueError as error:
                raise BrokenStream(f"the answer to {path} is no JSON: {error}") from error
            if not isinstance(answer, dict):
                raise BrokenStream(f"the answer to {path} is no JSON object")
            return answer

        return self.again(attempt)


def _refusal(raw: http.client.HTTPResponse) -> ServerError:
    try:
        content = raw.read(ERROR_BYTES_MAX)
    except (OSError, http.client.HTTPException, ValueError):
        content = b""
    try:
        error = json.loads(content)["error"]
        known = isinstance(error, dict)
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        text = content[:200].decode("utf-8", "replace").strip()
        error = {"code": "unknown", "message": f"HTTP {raw.status} {raw.reason}: {text}"}
    return from_answer(error, status=raw.status, retry_after_s=_seconds(raw.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
