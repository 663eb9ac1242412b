"""Labels of enumerated values, where states may change from segment to segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from varve.samples import Segment

__all__ = ["coded", "labelled"]


def _table(states: Sequence[Any], indices: npt.NDArray[np.uint16], codes: dict[str, int]) -> npt.NDArray[np.int32]:
    """Give the code of each index; labels that are not in `codes` are added."""
    named = len(states)
    top = int(indices.max(initial=0)) + 1
    table = np.full(max(named, top), -1, np.int32)
    for index, label in enumerate(states):
        table[index] = codes.setdefault(str(label), len(codes))
    if top > named:
        # An index without a name is called by its digits, as the server does.
        for index in np.unique(indices[indices >= named]).tolist():
            table[index] = codes.setdefault(str(index), len(codes))
    return table


def coded(indices: npt.NDArray[np.uint16], segments: Sequence[Segment]) -> tuple[npt.NDArray[np.int32], list[str]]:
    """Give for each value the place of its label in a list of all labels.

    Parameters
    ----------
    indices : numpy.ndarray of uint16
        Enumerated values.
    segments : sequence of Segment
        Their states.

    Returns
    -------
    tuple of numpy.ndarray of int32 and list of str
        Codes; labels, those of the first states first, in their order. Where states never changed and no
        label is there twice, codes are the indices.
    """
    codes: dict[str, int] = {}
    out = np.empty(len(indices), np.int32)
    for segment in segments:
        part = indices[segment.first : segment.behind]
        table = _table(segment.metadata.get("states") or (), part, codes)
        np.take(table, part, out=out[segment.first : segment.behind])
    return out, list(codes)


def labelled(indices: npt.NDArray[np.uint16], segment: Segment) -> npt.NDArray[Any]:
    """Give the labels of one segment's values as objects."""
    codes: dict[str, int] = {}
    table = _table(segment.metadata.get("states") or (), indices, codes)
    return np.array(list(codes), object)[table[indices]] if len(indices) else np.empty(0, object)
