"""Samples as `xarray.Dataset`: the natural form of waveforms."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from varve.samples import Samples

__all__ = ["dataset"]


def dataset(samples: Samples) -> Any:
    """Make a dataset with `value`, `severity`, `status` over `time`, arrays also over `element`.

    Where lengths differ, `length` says how long each array is, and numbers behind an array's end are NaN
    (which makes doubles of integers), texts behind it are empty. Its `attrs["varve"]` is JSON text, so that the
    dataset can be written to NetCDF.

    Raises
    ------
    ImportError
        xarray is not installed.
    """
    try:
        import xarray as xr
    except ImportError as error:
        raise ImportError("as_='xarray' needs xarray: pip install xarray") from error
    is_array = bool(samples.segments) and all(segment.type.endswith("[]") for segment in samples.segments)
    fields: dict[str, Any] = {}
    if is_array:
        value, lengths = _matrix(samples.value)
        fields["value"] = (("time", "element"), value)
        if len(lengths) and lengths.min() != lengths.max():
            fields["length"] = ("time", lengths)
    else:
        fields["value"] = ("time", samples.value)
    fields["severity"] = ("time", samples.severity)
    fields["status"] = ("time", samples.status)
    coords: dict[str, Any] = {"time": ("time", samples.time)}
    made = xr.Dataset(fields, coords=coords, attrs={"varve": json.dumps(samples.info, default=bytes.hex)})
    for name in ("units", "description"):
        if samples.info.get(name):
            made["value"].attrs["units" if name == "units" else "long_name"] = samples.info[name]
    return made


def _matrix(arrays: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    lengths = np.fromiter((len(array) for array in arrays), np.int64, len(arrays))
    if len(lengths) and lengths.min() == lengths.max():
        return np.stack(list(arrays)), lengths
    width = int(lengths.max(initial=0))
    kinds = {array.dtype for array in arrays}
    if any(kind.kind == "O" for kind in kinds):
        out = np.full((len(arrays), width), "", object)
    else:
        common = np.result_type(np.float32, *kinds) if kinds else np.float64
        out = np.full((len(arrays), width), np.nan, common)
    for row, array in enumerate(arrays):
        out[row, : len(array)] = array
    return out, lengths
