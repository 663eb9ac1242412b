"""Reads archives of Varve: raw samples, bins, tables, and what is known about channels.

It talks HTTP to an archive engine or an archive server. It does not write to archives.

Examples
--------
>>> import varve
>>> client = varve.Client("http://127.0.0.1:17668")
>>> current = client.samples("SR:DCCT:CURRENT", "-1h")  # doctest: +SKIP
>>> current["value"].plot()  # doctest: +SKIP
"""

from varve.alarms import SEVERITY, STATUS
from varve.bins import Bins
from varve.client import Client
from varve.errors import (
    BadParameter,
    BadTime,
    BrokenStream,
    Conflict,
    Damaged,
    Forbidden,
    ManagedByFile,
    NaiveTime,
    NotReady,
    ServerError,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    UnknownChannel,
    Unreachable,
    VarveError,
)
from varve.follow import Update
from varve.samples import Edge, Samples, Segment

__version__ = "0.0.0"

__all__ = [
    "SEVERITY",
    "STATUS",
    "BadParameter",
    "BadTime",
    "Bins",
    "BrokenStream",
    "Client",
    "Conflict",
    "Damaged",
    "Edge",
    "Forbidden",
    "ManagedByFile",
    "NaiveTime",
    "NotReady",
    "Samples",
    "Segment",
    "ServerError",
    "TooLarge",
    "TooMany",
    "Unauthorized",
    "Unavailable",
    "UnknownChannel",
    "Unreachable",
    "Update",
    "VarveError",
]
