"""What a header says of how its image was made: acquisition, view, position, side, pixel size."""

from __future__ import annotations

from pydicom.dataset import Dataset

from sagittal.study.dicom.frame import Frame
from sagittal.study.dicom.image import SYNTHETIC
from sagittal.study.dicom.values import first, items, number, numbers, raw, string, strings, whole
from sagittal.study.geometry import Plane
from sagittal.study.sequence import mr_sequence
from sagittal.study.study import Acquisition

_VIEWS = {
    # SNOMED CT values of CID 4010, and their retired SRT forms (pydicom's code dictionaries)
    "272479007": "PA", "R-40888": "PA",
    "399348003": "AP", "R-10206": "AP",
    "399173006": "LL", "R-10236": "LL",
    "399198007": "RL", "R-10232": "RL",
    "399067008": "LATERAL", "R-102CD": "LATERAL",
}  # fmt: skip
_POSITIONS = {
    "C86043": "ERECT", "10904000": "ERECT",
    "102538003": "RECUMBENT", "F-10450": "RECUMBENT",
    "102539006": "SEMI-ERECT", "F-10460": "SEMI-ERECT",
    "40199007": "SUPINE", "F-10340": "SUPINE", "1240000": "PRONE", "F-10310": "PRONE",
}  # fmt: skip
_WORDS = (("supine", "SUPINE"), ("erect", "ERECT"), ("upright", "ERECT"), ("standing", "ERECT"))
AT_DETECTOR = "at the detector, uncorrected"


def acquisition(ds: Dataset, frame: Frame, description: str) -> Acquisition:
    """Technique from the top level or, in enhanced objects, the functional groups."""
    shared = first(ds, "SharedFunctionalGroupsSequence")
    per_frame = items(ds, "PerFrameFunctionalGroupsSequence")
    own = per_frame[frame.index] if frame.index < len(per_frame) else Dataset()

    def value(keyword: str, group: str = "", name: str = "") -> float | None:
        found = number(ds, keyword)
        for where in (own, shared):
            if found is None and group:
                found = number(first(where, group), name or keyword)
        return found

    timing = "MRTimingAndRelatedParametersSequence"
    exposure = number(ds, "ExposureInuAs")
    agent = string(ds, "ContrastBolusAgent") or None
    tr, te = value("RepetitionTime", timing), value("EchoTime", "MREchoSequence", "EffectiveEchoTime")
    ti = value("InversionTime")
    b = b_value(ds, frame)
    mr = string(ds, "Modality") == "MR"
    sequence = mr_sequence(
        description=f"{description} {string(ds, 'ProtocolName')}",
        image_type=(*strings(ds, "ImageType"), *frame.keys["ImageType"].split("/")),
        scanning=strings(ds, "ScanningSequence"),
        agent=agent,
        b_value=b,
        tr_ms=tr,
        te_ms=te,
        ti_ms=ti,
    )
    return Acquisition(
        manufacturer=string(ds, "Manufacturer") or None,
        model_name=string(ds, "ManufacturerModelName") or None,
        kvp=value("KVP", "CTXRayDetailsSequence") or None,
        exposure_mas=exposure / 1000 if exposure else number(ds, "Exposure"),
        kernel=string(ds, "ConvolutionKernel")
        or string(first(shared, "CTReconstructionSequence"), "ConvolutionKernel")
        or None,
        tr_ms=tr if mr else None,
        te_ms=te if mr else None,
        ti_ms=ti if mr else None,
        flip_angle_deg=value("FlipAngle", timing) if mr else None,
        field_strength_t=number(ds, "MagneticFieldStrength") if mr else None,
        b_value=b,
        slice_thickness_mm=frame.thickness_mm,
        contrast_agent=agent,
        sequence=sequence if mr else None,
    )


def b_value(ds: Dataset, frame: Frame) -> float | None:
    """b in s/mm2: the standard attribute, else Siemens' or GE's private one."""
    try:
        return float(frame.keys["DiffusionBValue"])
    except ValueError:
        pass
    siemens, ge = ds.get((0x0019, 0x100C)), ds.get((0x0043, 0x1039))
    maker = string(ds, "Manufacturer").upper()
    try:
        if siemens is not None and "SIEMENS" in maker:
            return float(siemens.value)
        if ge is not None and maker.startswith("GE"):
            # GE adds 1e9 to mark that the value follows the sequence's own table.
            return float(ge.value[0]) % 1e9
    except (TypeError, ValueError, IndexError):
        pass
    return None


def view(ds: Dataset) -> str | None:
    """ViewPosition, else the view's code."""
    stated = string(ds, "ViewPosition").upper()
    return stated or _VIEWS.get(string(first(ds, "ViewCodeSequence"), "CodeValue")) or None


def position(ds: Dataset, description: str) -> str | None:
    """Of a radiograph: ERECT, SUPINE ...; of a cross-section: PatientPosition (HFS ...)."""
    if string(ds, "Modality") not in ("CR", "DX", "RF", "XA", "RG"):
        return string(ds, "PatientPosition").upper() or None
    code = first(ds, "PatientOrientationCodeSequence")
    modifier = first(code, "PatientOrientationModifierCodeSequence")
    for item in (modifier, code):
        if found := _POSITIONS.get(string(item, "CodeValue")):
            return found
    lowered = f"{description} {string(ds, 'ProtocolName')}".lower()
    return next((value for word, value in _WORDS if word in lowered.replace("semi-erect", "")), None)


def body_part(ds: Dataset) -> str | None:
    stated = string(ds, "BodyPartExamined").upper()
    meaning = string(first(ds, "AnatomicRegionSequence"), "CodeMeaning").upper()
    return stated or {"THORAX": "CHEST"}.get(meaning, meaning) or None


def plane(ds: Dataset) -> Plane:
    """A projection's plane: its sides where stated, its millimetres with what they rest on."""
    shared = first(ds, "SharedFunctionalGroupsSequence", "PixelMeasuresSequence")
    pixel = numbers(ds, "PixelSpacing", 2) or numbers(shared, "PixelSpacing", 2)
    imager, film = numbers(ds, "ImagerPixelSpacing", 2), numbers(ds, "NominalScannedPixelSpacing", 2)
    calibration = string(ds, "PixelSpacingCalibrationType").upper()
    spacing, source = pixel, "PixelSpacing, calibration not stated"
    if calibration == "FIDUCIAL":
        source = "calibrated to an object of known size"
    elif calibration == "GEOMETRY":
        source = "corrected for an assumed magnification"
    elif pixel is None and imager is None and film is not None:
        spacing, source = film, "of the scanned film, uncorrected"
    elif imager is not None and (pixel is None or _same(pixel, imager)):
        spacing, source = imager, AT_DETECTOR
    elif imager is not None:
        source = "calibrated, how is not stated"
    if spacing is None or min(spacing) <= 0:
        spacing, source = None, ""
    directions = strings(ds, "PatientOrientation")
    stated = len(directions) == 2 and all(d and set(d.upper()) <= set("LRAPHF") for d in directions)
    return Plane(
        spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        spacing_source=source or None,
        patient_orientation=(directions[0].upper(), directions[1].upper()) if stated else None,
    )


def _same(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(abs(x - y) <= 1e-3 * abs(y) for x, y in zip(a, b, strict=True))


def is_synthetic(ds: Dataset) -> bool:
    """Marked synthetic by ImageType and as a quality control object: neither alone will do.

    ``SYNTHETIC`` alone also marks MR contrasts computed from real patients, and the quality control
    marks (0010,0200) and (0028,0300) alone also a real scan of a plastic phantom.
    """
    marked = "YES" in (string(ds, "QualityControlSubject"), string(ds, "QualityControlImage"))
    return marked and SYNTHETIC in strings(ds, "ImageType")


def is_localiser(ds: Dataset, description: str) -> bool:
    kinds = {value.upper() for value in strings(ds, "ImageType")}
    lowered = description.lower()
    return bool(kinds & {"LOCALIZER", "SCOUT", "TOPOGRAM"}) or any(
        word in lowered for word in ("localizer", "localiser", "scout", "topogram", "surview", "scanogram")
    )


def bits(ds: Dataset) -> tuple[int, bool]:
    """Bits stored and whether signed."""
    stored = whole(ds, "BitsStored") or whole(ds, "BitsAllocated") or 16
    return stored, raw(ds, "PixelRepresentation") == 1
