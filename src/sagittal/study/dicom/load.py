"""DICOM files to headers and pixels, expecting anything.

A header is read without its pixels, but whether they are all there is checked at once, so that a
cut-off file is known before anyone waits for it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
)

from sagittal.errors import BadInput
from sagittal.study import limits
from sagittal.study.dicom.values import quiet, string, whole
from sagittal.study.files import Source

TAGS: list[Any] = [
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate",
    "AcquisitionDate", "ContentDate", "AcquisitionTime", "SeriesTime", "AcquisitionDateTime",
    "AccessionNumber", "Modality", "Manufacturer", "ManufacturerModelName", "StudyDescription",
    "SeriesDescription", "ViewCodeSequence", "AnatomicRegionSequence", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight", "QualityControlSubject",
    "ContrastBolusAgent", "BodyPartExamined", "ScanningSequence", "SequenceName", "KVP", "SliceThickness",
    "RepetitionTime", "EchoTime", "InversionTime", "MagneticFieldStrength", "SpacingBetweenSlices",
    "EchoNumbers", "TriggerTime", "ProtocolName", "Exposure", "ExposureInuAs", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "FlipAngle", "ConvolutionKernel", "PatientPosition", "ViewPosition",
    "DiffusionBValue", "DiffusionGradientOrientation", "PixelSpacingCalibrationType",
    "PresentationIntentType", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "AcquisitionNumber",
    "InstanceNumber", "PatientOrientation", "ImagePositionPatient", "ImageOrientationPatient",
    "FrameOfReferenceUID", "TemporalPositionIdentifier", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "PixelSpacing", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "QualityControlImage", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "Units", "DecayCorrection", "SUVType",
    "RadiopharmaceuticalInformationSequence", "DecayFactor", "PatientOrientationCodeSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ComplexImageComponent",
    "PixelPaddingValue", "BurnedInAnnotation", "LossyImageCompression",
]  # fmt: skip
_PRIVATE = [(0x0019, 0x100C), (0x0043, 0x1039), (0x7053, 0x1000)]
"""b-value of Siemens and GE, SUV factor of Philips."""

_DICOMDIR = "1.2.840.10008.1.3.10"
_DATA = (0x7FE00010, 0x7FE00009, 0x7FE00008)


@dataclass(frozen=True, eq=False)
class Header:
    """A DICOM object without its pixel data.

    Args:
        flaw: why its pixels cannot be had; empty where they can.
        has_pixels: whether a pixel data element is there at all.
    """

    source: Source
    ds: Dataset
    has_pixels: bool
    flaw: str = ""


def read_header(source: Source) -> Header:
    """Read everything but the pixels.

    Raises:
        BadInput: the file is not DICOM or its header cannot be parsed.
    """
    try:
        with quiet(), source.open() as stream:
            _bound_deflate(stream, source)
            stream.seek(0)
            ds = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=TAGS + _PRIVATE)
            if _meta(ds, "MediaStorageSOPClassUID") == _DICOMDIR:
                raise BadInput(f"{source.name} is a DICOMDIR", "the images", "open the folder it lies in")
            if not len(ds) or not (string(ds, "SOPClassUID") or string(ds, "Rows") or string(ds, "Modality")):
                raise BadInput(f"{source.name} is not a DICOM object that can be read")
            deflated = _syntax(ds) == DeflatedExplicitVRLittleEndian
            if deflated:
                stream.seek(0)
                has_pixels, flaw = "PixelData" in dcmread(stream, force=True), ""
            else:
                has_pixels, flaw = _pixels(stream, source.size, ds)
    except BadInput:
        raise
    except RecursionError:
        raise BadInput(f"{source.name} nests too deeply to be read") from None
    except Exception as error:
        # A hostile or broken file can raise anything inside the parser; all of it is bad input.
        raise BadInput(f"{source.name} is not readable as DICOM ({_brief(error)})") from None
    if has_pixels and not flaw:
        flaw = _implausible(ds)
    return Header(source, ds, has_pixels, flaw)


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:157] + "..."


def _meta(ds: Dataset, keyword: str) -> str:
    meta = getattr(ds, "file_meta", None)
    return str(meta.get(keyword, "")) if meta is not None else ""


def _syntax(ds: Dataset) -> str:
    return _meta(ds, "TransferSyntaxUID")


def _bound_deflate(stream: BinaryIO, source: Source) -> None:
    """A deflated dataset is unpacked by pydicom in one go: make sure that it fits."""
    head = stream.read(2048)
    if DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    # Group 2 starts after the preamble with its own length.
    length = int.from_bytes(head[140:144], "little")
    stream.seek(144 + min(length, source.size))
    inflate, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while (chunk := stream.read(2**16)) and not inflate.eof:
        while chunk:
            total += len(inflate.decompress(chunk, 2**22))
            if total > limits.MAX_INFLATED_BYTES:
                raise BadInput(f"{source.name} unpacks to more than {limits.MAX_INFLATED_BYTES} bytes")
            chunk = inflate.unconsumed_tail


def _pixels(stream: BinaryIO, size: int, ds: Dataset) -> tuple[bool, str]:
    """Whether pixel data follow where parsing stopped, and what is wrong with their length."""
    implicit, little = getattr(ds, "original_encoding", (False, True))
    order: Literal["little", "big"] = "little" if little else "big"
    start = stream.tell()
    head = stream.read(12)
    if len(head) < 8:
        return False, ""
    group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
    if (group << 16) + element not in _DATA:
        return False, ""
    long_form = not implicit and head[4:6] in (b"OB", b"OW", b"OF", b"OD", b"UN")
    at = 8 if long_form else 4
    length = int.from_bytes(head[at : at + 4], order)
    data = start + (12 if long_form else 8)
    if length == 0xFFFFFFFF:
        return True, _fragments(stream, data, size)
    if data + length > size:
        return True, "the file is truncated within its pixel data"
    wanted = _native_bytes(ds)
    if wanted is not None and length < wanted:
        return True, f"pixel data have {length} bytes where {wanted} are needed"
    return True, ""


def _fragments(stream: BinaryIO, at: int, size: int) -> str:
    """Walk encapsulated items to their delimiter (PS3.5 A.4)."""
    count = 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"\xfe\xff\xdd\xe0":
            return "" if count > 1 else "the pixel data hold no image"
        if head[:4] != b"\xfe\xff\x00\xe0" or length == 0xFFFFFFFF:
            return "the compressed pixel data are damaged"
        at += 8 + length
        count += 1
    # Some writers forget the delimiter; what counts is that the last fragment is whole.
    return "" if at == size and count > 1 else "the file is truncated within its pixel data"


def _native_bytes(ds: Dataset) -> int | None:
    rows, columns, bits = whole(ds, "Rows"), whole(ds, "Columns"), whole(ds, "BitsAllocated")
    if not rows or not columns or not bits:
        return None
    samples, frames = whole(ds, "SamplesPerPixel") or 1, max(1, whole(ds, "NumberOfFrames") or 1)
    if string(ds, "PhotometricInterpretation") == "YBR_FULL_422":
        samples = 2
    return (rows * columns * samples * frames * bits + 7) // 8


def _implausible(ds: Dataset) -> str:
    rows, columns = whole(ds, "Rows") or 0, whole(ds, "Columns") or 0
    frames = max(1, whole(ds, "NumberOfFrames") or 1)
    if rows < 1 or columns < 1:
        return "Rows or Columns are missing"
    if rows < 2 and columns < 2:
        return "a 1 x 1 image holds nothing to read"
    if frames > limits.MAX_FRAMES or rows * columns * frames > limits.MAX_VOXELS:
        return f"{frames} frames of {rows} x {columns} are more than is read"
    if (whole(ds, "BitsAllocated") or 0) not in (1, 8, 16, 32):
        return f"BitsAllocated is {string(ds, 'BitsAllocated') or 'missing'}"
    if not string(ds, "PhotometricInterpretation"):
        return "PhotometricInterpretation is missing"
    if syntax := _syntax(ds):
        try:
            decoder = get_decoder(syntax) if syntax not in _NATIVE else None
        except NotImplementedError:
            return f"transfer syntax {syntax} cannot be decoded"
        if decoder is not None and not decoder.is_available:
            return f"transfer syntax {syntax} cannot be decoded here"
    return ""


_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"}


def decode(source: Source, indices: list[int], frames: int) -> NDArray[Any]:
    """Stored values of some frames of an object: (frame, row, column[, sample]); YBR comes as RGB.

    Raises:
        BadInput: the pixel data cannot be decoded.
    """
    try:
        with quiet(), source.open() as stream:
            ds = dcmread(stream, force=True)
            if not _syntax(ds):
                # Files without meta information are implicit little endian unless they show otherwise.
                implicit, _ = ds.original_encoding
                explicit = implicit is False
                ds.file_meta.TransferSyntaxUID = (
                    ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
                )
            # GDCM's own JPEG 2000 decoder writes to stderr; OpenJPEG through pylibjpeg keeps quiet.
            plugin = "pylibjpeg" if _syntax(ds) in (*JPEG2000TransferSyntaxes, *_HTJ2K) else ""
            every = len(indices) == frames
            parts = (
                [pixel_array(ds, decoding_plugin=plugin)]
                if every
                else [pixel_array(ds, decoding_plugin=plugin, index=index) for index in indices]
            )
            stored = np.asarray(parts[0]) if every and frames > 1 else np.stack(parts)
            if string(ds, "PhotometricInterpretation") == "PALETTE COLOR":
                stored = apply_color_lut(stored, ds)
            return stored[indices] if every and frames > 1 else stored
    except BadInput:
        raise
    except MemoryError:
        raise BadInput(f"{source.name} needs more memory than there is") from None
    except Exception as error:
        # Decoders raise whatever they like on damaged streams.
        raise BadInput(
            f"{source.name}: the pixel data cannot be decoded ({_brief(error)})",
            fix="send the image again, or decompress it first",
        ) from None
