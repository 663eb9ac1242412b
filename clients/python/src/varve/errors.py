"""What can go wrong between a program and an archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "BadParameter",
    "BadTime",
    "BrokenStream",
    "Conflict",
    "Damaged",
    "Forbidden",
    "ManagedByFile",
    "NaiveTime",
    "NotReady",
    "ServerError",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "Unavailable",
    "UnknownChannel",
    "Unreachable",
    "VarveError",
]


class VarveError(Exception):
    """Everything that this package raises on purpose, but for `TypeError` and `ImportError`."""


class NaiveTime(VarveError, ValueError):
    """A time without a zone, and the client has no `tz`."""


class Unreachable(VarveError, ConnectionError):
    """No connection could be made, or it broke before the answer began, also when tried again."""


class BrokenStream(VarveError, ConnectionError):
    """An answer ended early, or its bytes are not what the server sent, also when asked for again.

    Nothing of the broken part was given out as data.
    """


class ServerError(VarveError):
    """The server refused a request.

    Attributes
    ----------
    code : str
        The kind of error, like ``"bad_time"``.
    status : int
        HTTP status; 0 where a channel was refused inside an answer.
    message : str
        What the server says to do about it.
    channel : str or None
        The channel concerned.
    parameter : str or None
        The first bad parameter.
    near : tuple of str
        Names that are near an unknown one.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        channel: str | None = None,
        parameter: str | None = None,
        near: tuple[str, ...] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.channel = channel
        self.parameter = parameter
        self.near = near
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        near = f" (near: {', '.join(self.near)})" if self.near and self.near[0] not in self.message else ""
        return f"{self.message}{near}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel between processes, which rebuild them from `args` otherwise.
        return _rebuilt, (type(self), self.code, self.message, dict(self.__dict__))


def _rebuilt(kind: type[ServerError], code: str, message: str, fields: dict[str, Any]) -> ServerError:
    error = kind(code, message)
    error.__dict__.update(fields)
    return error


class BadParameter(ServerError, ValueError):
    """A parameter that the request does not know or cannot understand."""


class BadTime(ServerError, ValueError):
    """A time that cannot be understood, or a range that ends before it starts."""


class UnknownChannel(ServerError, LookupError):
    """No channel has this name; `near` holds the nearest ones."""


class TooLarge(ServerError):
    """The answer or the request is above a limit of the server."""


class TooMany(ServerError):
    """The server has too much to do; `retry_after_s` says when to try again, in seconds."""


class NotReady(ServerError):
    """The archive is starting."""


class Damaged(ServerError):
    """The one value asked for cannot be read."""


class Unavailable(ServerError):
    """The archive or its file system cannot be reached by the server."""


class Unauthorized(ServerError, PermissionError):
    """A token is needed."""


class Forbidden(ServerError, PermissionError):
    """The token does not allow this."""


class Conflict(ServerError):
    """The request contradicts the state of the archive."""


class ManagedByFile(ServerError):
    """The channel belongs to a configuration file."""


_KINDS: dict[str, type[ServerError]] = {
    "bad_parameter": BadParameter,
    "bad_time": BadTime,
    "unknown_channel": UnknownChannel,
    "too_large": TooLarge,
    "too_many": TooMany,
    "not_ready": NotReady,
    "damaged": Damaged,
    "unavailable": Unavailable,
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "conflict": Conflict,
    "managed_by_file": ManagedByFile,
}


def from_answer(
    error: Mapping[str, Any],
    *,
    status: int = 0,
    channel: str | None = None,
    retry_after_s: float | None = None,
) -> ServerError:
    """Make the exception that an error object of the server means."""
    code = str(error.get("code", "unknown"))
    parameter = error.get("parameter")
    near = error.get("near") or ()
    return _KINDS.get(code, ServerError)(
        code,
        str(error.get("message", code)),
        status=status,
        channel=error.get("channel", channel),
        parameter=None if parameter is None else str(parameter),
        near=tuple(str(name) for name in near),
        retry_after_s=retry_after_s,
    )
