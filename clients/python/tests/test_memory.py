"""Memory of large columns: kept for the next answer, never shared with one that is still held."""

from __future__ import annotations

import gc
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from varve import memory
from varve.buffers import Buffer, MostlyZeros

FLOAT = np.dtype("<f8")
LARGE = memory.LARGE_BYTES_MIN // 8 + 10
keeping = pytest.mark.skipif(not memory._HAS_MAPPINGS, reason="this system takes no memory back")


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    gc.collect()
    memory._kept.clear()


def address(array: npt.NDArray[Any]) -> int:
    return int(array.__array_interface__["data"][0])


@keeping
def test_memory_goes_to_the_next_array_once_nobody_holds_it() -> None:
    first = memory.uninitialised(LARGE, FLOAT)
    first[:] = 1.0
    where, part = address(first), first[5:7].view(np.int64)
    del first
    beside = memory.uninitialised(LARGE, FLOAT)
    assert address(beside) != where, "a part of it is still held"
    beside[:] = 2.0
    assert (part.view(np.float64) == 1.0).all()
    del part
    again = memory.uninitialised(LARGE - 3, FLOAT)
    assert address(again) == where
    assert len(again) == LARGE - 3


@keeping
def test_much_larger_memory_is_not_used_for_little() -> None:
    large = memory.uninitialised(8 * LARGE, FLOAT)
    where = address(large)
    del large
    assert address(memory.uninitialised(LARGE, FLOAT)) != where


@keeping
def test_no_more_is_kept_than_the_bound() -> None:
    count = 10
    arrays = [memory.uninitialised(memory.KEPT_BYTES_MAX // 8 // 4, FLOAT) for _ in range(count)]
    del arrays
    assert sum(map(len, memory._kept)) == memory.KEPT_BYTES_MAX
    huge = memory.uninitialised(memory.KEPT_BYTES_MAX, FLOAT)
    del huge
    assert sum(map(len, memory._kept)) == memory.KEPT_BYTES_MAX


def test_zeros_are_zero_whatever_was_there() -> None:
    for _ in range(3):
        used = memory.uninitialised(LARGE, FLOAT)
        used[:] = 7.0
        del used
        zeros = memory.zeros(LARGE, FLOAT)
        assert not zeros.any()
        zeros[:] = 8.0


@keeping
def test_a_child_process_does_not_write_into_its_parents_columns() -> None:
    ours = memory.uninitialised(LARGE, FLOAT)
    ours[:] = 1.0
    child = os.fork()
    if child == 0:
        ours[:] = 2.0
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (ours == 1.0).all()


@pytest.mark.parametrize("kind", [Buffer, MostlyZeros])
def test_a_buffer_outgrows_what_was_expected(kind: type[Buffer]) -> None:
    buffer = kind(FLOAT, LARGE, lambda: None)
    expected = []
    for part in range(5):
        rows = np.full(LARGE // 2, float(part))
        buffer.append_bytes(len(rows))[:] = rows.tobytes()
        expected.append(rows)
    assert (buffer.finish() == np.concatenate(expected)).all()


def test_a_buffer_that_stays_far_below_what_was_expected_holds_little() -> None:
    buffer = Buffer(FLOAT, 16 * LARGE, lambda: None)
    buffer.append(10)[:] = range(10)
    found = buffer.finish()
    assert (found == np.arange(10.0)).all()
    base = found if found.base is None else found.base
    assert base.nbytes <= 1 << 14
