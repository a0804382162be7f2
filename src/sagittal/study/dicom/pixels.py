"""Stored values to what they mean: HU, SUV, or grey where more is brighter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput
from sagittal.study import limits
from sagittal.study.dicom.frame import Frame
from sagittal.study.dicom.load import decode

_LUMINANCE = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""


@dataclass(frozen=True)
class Meaning:
    """How stored values are to be read.

    Args:
        bits, signed: range of the stored values.
        inverted: MONOCHROME1, where what is stored as more is shown darker.
        factor: applied after slope and intercept (SUV).
    """

    bits: int
    signed: bool
    inverted: bool = False
    factor: float = 1.0


def voxels(frames: Sequence[Frame], meaning: Meaning, flat: bool = False) -> NDArray[Any]:
    """Decode frames into (z, y, x), or (y, x) where ``flat``; integers stay integers where they can.

    Raises:
        BadInput: pixel data that cannot be decoded, have another size than the header says, or are
            more than is read.
    """
    shape = (len(frames), frames[0].rows, frames[0].columns)
    if np.prod(shape, dtype=np.int64) > limits.MAX_VOXELS:
        raise BadInput(f"a series of {shape} voxels", f"at most {limits.MAX_VOXELS} voxels")
    out = np.empty(shape, _dtype(frames, meaning))
    at = 0
    for _, group in groupby(frames, key=lambda frame: (frame.source.path, frame.source.member)):
        part = list(group)
        stored = _grey(decode(part[0].source, [frame.index for frame in part], part[0].frames), part[0])
        for values, frame in zip(stored, part, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                out[at] = _real(values, frame, meaning)
            if out.dtype.kind == "f" and not np.isfinite(out[at]).all():
                raise BadInput(f"{frame.source.name} has voxels that are not finite", "numbers")
            at += 1
    return out[0] if flat else out


def _grey(stored: NDArray[Any], frame: Frame) -> NDArray[Any]:
    if stored.ndim == 4 and stored.shape[-1] in (3, 4):
        stored = np.floor(stored[..., :3] @ _LUMINANCE + 0.5).astype(stored.dtype)
    if stored.ndim != 3 or stored.shape[1:] != (frame.rows, frame.columns):
        raise BadInput(
            f"{frame.source.name}: the pixel data have shape {stored.shape[1:]}",
            f"{(frame.rows, frame.columns)} as the header says",
        )
    return stored


def _real(values: NDArray[Any], frame: Frame, meaning: Meaning) -> NDArray[Any]:
    if meaning.inverted:
        low, high = _range(meaning)
        values = (low + high) - values.astype(np.int64)
    slope, intercept = frame.slope * meaning.factor, frame.intercept * meaning.factor
    if slope == 1.0 and intercept == 0.0:
        return values
    if slope == 1.0 and float(intercept).is_integer():
        return values.astype(np.int64) + int(intercept)
    return values.astype(np.float64) * slope + intercept


def _range(meaning: Meaning) -> tuple[int, int]:
    if meaning.signed:
        return -(2 ** (meaning.bits - 1)), 2 ** (meaning.bits - 1) - 1
    return 0, 2**meaning.bits - 1


def _dtype(frames: Sequence[Frame], meaning: Meaning) -> np.dtype[Any]:
    """The smallest type that holds every value; float32 where a slope makes fractions."""
    offsets = [frame.intercept for frame in frames]
    whole = meaning.factor == 1.0 and all(
        frame.slope == 1.0 and float(frame.intercept).is_integer() for frame in frames
    )
    if not whole:
        return np.dtype(np.float32)
    low, high = _range(meaning)
    low, high = low + int(min(offsets)), high + int(max(offsets))
    for kind in (np.uint8, np.int16, np.uint16, np.int32):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype(np.float64)
