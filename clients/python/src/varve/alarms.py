"""Names of alarm codes."""

from __future__ import annotations

__all__ = ["SEVERITY", "STATUS"]

#: Names of severities by their code.
SEVERITY: tuple[str, ...] = ("NO_ALARM", "MINOR", "MAJOR", "INVALID")

#: Names of Channel Access' statuses by their code.
STATUS: tuple[str, ...] = (
    "NO_ALARM",
    "READ",
    "WRITE",
    "HIHI",
    "HIGH",
    "LOLO",
    "LOW",
    "STATE",
    "COS",
    "COMM",
    "TIMEOUT",
    "HWLIMIT",
    "CALC",
    "SCAN",
    "LINK",
    "SOFT",
    "BAD_SUB",
    "UDF",
    "DISABLE",
    "SIMM",
    "READ_ACCESS",
    "WRITE_ACCESS",
)
