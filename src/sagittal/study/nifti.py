"""NIfTI files to volumes and back.

NIfTI counts i, j, k in a patient's RAS; Sagittal keeps the same voxels in k, j, i order with an
LPS affine. Source: nifti1.h (nifti.nimh.nih.gov), Analyze 7.5.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from sagittal.errors import BadInput
from sagittal.study import limits
from sagittal.study.files import Source
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.sequence import mr_sequence
from sagittal.study.study import Acquisition, Series
from sagittal.study.uid import derived_uid
from sagittal.study.volume import Unit, Volume

_nib: Any = nibabel
"""nibabel is only partly typed."""
_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
_SIDECAR_BYTES = 2**20


@dataclass(frozen=True, eq=False)
class _Parsed:
    header: Any
    shape: tuple[int, int, int]
    geometry: Geometry
    problems: list[str]
    digest: str
    skip: int = 0
    """Voxels before the channel that is read."""


def channels_of(source: Source) -> int:
    """How many 3D images a NIfTI file holds behind each other: the length of its fourth axis, or 1."""
    shape = _header(_bytes(source, limits.MAX_FILE_BYTES), source).get_data_shape()
    return int(shape[3]) if len(shape) == 4 else 1


def read_nifti(source: Source, *, channel: int | None = None) -> Series:
    """One NIfTI-1 or -2 file, plain or gzipped, as a series; voxels are decoded later.

    Args:
        channel: the zero-based 3D image of a file with a fourth axis; None: the file must have none.

    Raises:
        BadInput: damaged, not three-dimensional, of a type that is not a plain number, or with
            voxels that are not finite.
    """
    parsed = _parse(source, channel)
    sidecar = _sidecar(source)
    description = str(sidecar.get("SeriesDescription") or _stem(source.name))
    modality = str(sidecar.get("Modality") or "OT").upper()
    unit: Unit = "HU" if modality == "CT" else "arbitrary"

    def decode() -> Volume:
        return Volume(_voxels(source, parsed), parsed.geometry, unit)

    return Series(
        uid=derived_uid("nifti", parsed.digest, *([] if channel is None else [str(channel)])),
        modality=modality,
        shape=parsed.shape,
        geometry=parsed.geometry,
        unit=unit,
        decode=decode,
        description=description,
        body_part=str(sidecar["BodyPartExamined"]).upper() if sidecar.get("BodyPartExamined") else None,
        acquisition=_acquisition(sidecar, description, modality),
        instances=(),
        problems=limits.capped(parsed.problems),
    )


def _stem(name: str) -> str:
    return Path(name).name.removesuffix(".gz").removesuffix(".nii")


def _bytes(source: Source, limit: int) -> bytes:
    """The file, unpacked where it is gzipped, up to ``limit`` bytes."""
    data = source.read()
    if not data.startswith(b"\x1f\x8b"):
        return data
    parts: list[bytes] = []
    total = 0
    try:
        while data:
            inflate = zlib.decompressobj(31)
            part = inflate.decompress(data, limit - total + 1)
            parts.append(part)
            total += len(part)
            if total > limit:
                raise BadInput(f"{source.name} unpacks to more than its header says or than is read")
            if not inflate.eof:
                raise BadInput(f"{source.name} is truncated within its gzip stream")
            # gzip allows several members after each other; trailing zeros are padding.
            data = inflate.unused_data.lstrip(b"\0")
            if not data.startswith(b"\x1f\x8b"):
                break
    except zlib.error as error:
        raise BadInput(f"{source.name} is damaged ({error})") from None
    return b"".join(parts)


def _header(data: bytes, source: Source) -> Any:
    kind = _nib.Nifti2Header if data[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") else _nib.Nifti1Header
    size = kind.template_dtype.itemsize
    try:
        header = kind(data[:size], check=False)
        header.get_data_shape(), header.get_data_dtype(), header.get_best_affine()
    except Exception as error:
        # nibabel raises several types, and numpy's, for header fields that make no sense.
        raise BadInput(f"{source.name} has a NIfTI header that cannot be read ({error})") from None
    return header


def _parse(source: Source, channel: int | None = None) -> _Parsed:
    data = _bytes(source, limits.MAX_FILE_BYTES)
    header = _header(data, source)
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    channels = 1
    if channel is not None and len(shape) == 4:
        *first, channels = shape
        shape = tuple(first)
    if channel is not None and not 0 <= channel < channels:
        raise BadInput(f"{source.name} has no channel {channel}", f"0 to {channels - 1}")
    if len(shape) > 3:
        raise BadInput(
            f"{source.name} has {len(shape)} dimensions {shape}",
            "a 3D image",
            "split it into one file a volume",
        )
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3 or min(shape) < 1 or sum(n > 1 for n in shape) < 2:
        raise BadInput(f"{source.name} has shape {shape}", "a 3D image of more than one voxel a side")
    if int(np.prod(shape, dtype=np.int64)) > limits.MAX_VOXELS:
        raise BadInput(f"{source.name} has shape {shape}", f"at most {limits.MAX_VOXELS} voxels")
    dtype = header.get_data_dtype()
    if dtype.kind not in "iufb" or dtype.fields is not None:
        raise BadInput(f"{source.name} has voxels of type {dtype}", "plain numbers")
    problems: list[str] = []
    affine = _affine(header, shape, problems, source)
    if bytes(header["magic"]).startswith((b"ni1", b"ni2")):
        raise BadInput(f"{source.name} is one half of a NIfTI pair", "a single .nii file")
    parsed = _Parsed(
        header,
        (shape[2], shape[1], shape[0]),
        Geometry(affine),
        problems,
        hashlib.sha256(data).hexdigest(),
        (channel or 0) * int(np.prod(shape, dtype=np.int64)),
    )
    values = _array(data, parsed, source)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int(values.size - np.isfinite(values).sum())
        raise BadInput(
            f"{source.name} has {count} voxels that are not finite", "numbers", "replace NaN and infinity"
        )
    step = parsed.geometry.spacing_mm[_slice_axis(parsed.geometry)]
    if step >= 5.0 and min(parsed.geometry.spacing_mm) < step:
        problems.append(f"thick slices: {parsed.shape[_slice_axis(parsed.geometry)]} at {step:.3g} mm")
    return parsed


def _slice_axis(geometry: Geometry) -> int:
    """The array axis with the coarsest pitch."""
    return int(np.argmax(geometry.spacing_mm))


def _affine(header: Any, shape: tuple[int, ...], problems: list[str], source: Source) -> NDArray[np.float64]:
    sform, qform = int(header["sform_code"]), int(header["qform_code"])
    ras = np.asarray(header.get_best_affine(), float)
    if sform == 0 and qform == 0:
        problems.append(
            "the header states no orientation: NIfTI's default axes are assumed, sides are not sure"
        )
    elif sform and qform:
        try:
            other = np.asarray(header.get_qform(), float)
        except (ValueError, np.linalg.LinAlgError):
            other = ras
        if np.abs(other - ras).max() > 0.1 * np.abs(ras[:3, :3]).max() and qform == sform:
            problems.append("sform and qform disagree: the sform is used")
    code = int(header["xyzt_units"]) & 7
    if code not in (0, *_UNIT_MM):
        problems.append(f"length unit {code} is unknown: millimetres are assumed")
    ras[:3] *= _UNIT_MM.get(code, 1.0)
    lengths = np.linalg.norm(ras[:3, :3], axis=0)
    if not np.isfinite(ras).all() or abs(np.linalg.det(ras[:3, :3])) < 1e-9 or lengths.max() > 1000:
        raise BadInput(f"{source.name} has an affine that is singular or not plausible", "a voxel grid in mm")
    lps = _TO_LPS @ ras
    # Index order i, j, k becomes k, j, i.
    return np.column_stack([lps[:, 2], lps[:, 1], lps[:, 0], lps[:, 3]])


def _array(data: bytes, parsed: _Parsed, source: Source) -> NDArray[Any]:
    header = parsed.header
    dtype, count = header.get_data_dtype(), int(np.prod(parsed.shape, dtype=np.int64))
    # The fourth axis is the slowest, so that a channel lies in one piece.
    offset = int(header.get_data_offset()) + parsed.skip * dtype.itemsize
    if offset < 0 or len(data) < offset + count * dtype.itemsize:
        raise BadInput(
            f"{source.name} is truncated: {max(0, len(data) - offset)} bytes of voxels",
            f"{count * dtype.itemsize}",
        )
    values = np.frombuffer(data, dtype, count, offset).reshape(parsed.shape)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    plain = not np.isfinite(slope) or not np.isfinite(intercept) or slope == 0 or (slope, intercept) == (1, 0)
    if plain and (dtype.kind != "f" or dtype.itemsize <= 4):
        return values.astype(dtype.newbyteorder("="))
    # What single precision cannot hold becomes infinite here, and is refused as such.
    with np.errstate(over="ignore", invalid="ignore"):
        return (values if plain else values.astype(np.float64) * slope + intercept).astype(np.float32)


def _voxels(source: Source, parsed: _Parsed) -> NDArray[Any]:
    return _array(_bytes(source, limits.MAX_FILE_BYTES), parsed, source)


def _sidecar(source: Source) -> dict[str, Any]:
    """The BIDS sidecar beside a file; empty where there is none or it is not a JSON object."""
    if source.member is not None:
        return {}
    path = source.path.with_name(_stem(source.path.name) + ".json")
    try:
        if not path.is_file() or path.is_symlink() or path.stat().st_size > _SIDECAR_BYTES:
            return {}
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _acquisition(sidecar: dict[str, Any], description: str, modality: str) -> Acquisition:
    def seconds_to_ms(key: str) -> float | None:
        value = sidecar.get(key)
        return float(value) * 1000 if isinstance(value, int | float) else None

    def plain(key: str) -> float | None:
        value = sidecar.get(key)
        return float(value) if isinstance(value, int | float) else None

    tr, te, ti = (seconds_to_ms(f"{name}Time") for name in ("Repetition", "Echo", "Inversion"))
    scanning = sidecar.get("ScanningSequence")
    # A file's name may say the weighting ("patient01_FLAIR"); the modality then need not be stated.
    sequence = mr_sequence(
        description=f"{description} {sidecar.get('ProtocolName', '')}",
        scanning=str(scanning or "").replace("\\", "_").split("_"),
        tr_ms=tr,
        te_ms=te,
        ti_ms=ti,
    )
    return Acquisition(
        manufacturer=str(sidecar["Manufacturer"]) if sidecar.get("Manufacturer") else None,
        model_name=str(sidecar["ManufacturersModelName"]) if sidecar.get("ManufacturersModelName") else None,
        tr_ms=tr,
        te_ms=te,
        ti_ms=ti,
        flip_angle_deg=plain("FlipAngle"),
        field_strength_t=plain("MagneticFieldStrength"),
        slice_thickness_mm=plain("SliceThickness"),
        sequence=sequence if modality in ("MR", "OT") else None,
    )


def _sheared(affine: NDArray[np.float64]) -> bool:
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > 1e-3)


def write_nifti(path: Path, volume: Volume) -> Path:
    """Write a volume as NIfTI-1, gzipped where the name ends in .gz; written whole or not at all.

    Booleans become uint8. A picture becomes one slice whose place in the patient is marked unknown.
    """
    voxels = volume.voxels
    if voxels.dtype == np.bool_:
        voxels = voxels.astype(np.uint8)
    elif voxels.dtype == np.int64 and abs(voxels).max(initial=0) < 2**31:
        voxels = voxels.astype(np.int32)
    elif voxels.dtype in (np.float64, np.float16):
        voxels = voxels.astype(np.float32)
    if isinstance(volume.geometry, Plane):
        spacing = volume.geometry.spacing_mm or (1.0, 1.0)
        # NIfTI rows run upwards in its default axes, a picture's rows run down.
        affine = np.diag([-spacing[1], -spacing[0], 1.0, 1.0])
        voxels, code = voxels[None], 0
    else:
        a = volume.geometry.affine
        affine = _TO_LPS @ np.column_stack([a[:, 2], a[:, 1], a[:, 0], a[:, 3]])
        code = 1
    image = _nib.Nifti1Image(np.ascontiguousarray(voxels.transpose(2, 1, 0)), affine, dtype=voxels.dtype)
    image.set_sform(affine, code=code or 2)
    # A qform cannot hold the shear of a tilted gantry: it is then marked as not to be used.
    image.set_qform(affine, code=0 if _sheared(affine) else code)
    image.header.set_xyzt_units("mm")
    path = Path(path)
    name = path.name
    ending = ".nii.gz" if name.endswith(".gz") else ".nii"
    temporary = path.with_name(f".{name.removesuffix(ending)}.part{ending}")
    try:
        image.to_filename(temporary)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise BadInput(f"{path} cannot be written ({error.strerror})", fix="choose another place") from None
    return path
