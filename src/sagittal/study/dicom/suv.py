"""PET activity to standardised uptake by body weight.

Source: PS3.3 C.8.9.1 (PET series), QIBA SUV vendor-neutral pseudo-code (happy path: decay corrected
to the series start or to administration).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydicom.dataset import Dataset

from sagittal.study.dicom.values import first, moment, number, string


def suv_factor(ds: Dataset) -> tuple[float | None, str | None]:
    """What rescaled voxels are multiplied with to be SUVbw, or None and the reason why not."""
    units = string(ds, "Units")
    kind = string(ds, "SUVType")
    if units == "GML":
        if kind in ("", "BW"):
            return 1.0, None
        return None, f"uptake is normalised by {kind}, not by body weight"
    if units == "CNTS":
        element = ds.get((0x7053, 0x1000))
        try:
            factor = float(element.value) if element is not None else 0.0
        except (TypeError, ValueError):
            factor = 0.0
        return (factor, None) if factor > 0 else (None, "PET counts without a SUV factor")
    if units != "BQML":
        return None, f"PET units {units or 'not stated'} cannot be turned into SUV"
    return _from_activity(ds)


def _from_activity(ds: Dataset) -> tuple[float | None, str | None]:
    tracer = first(ds, "RadiopharmaceuticalInformationSequence")
    weight_kg, dose_bq = number(ds, "PatientWeight"), number(tracer, "RadionuclideTotalDose")
    half_life_s = number(tracer, "RadionuclideHalfLife")
    if not weight_kg or not dose_bq or not half_life_s or min(weight_kg, dose_bq, half_life_s) <= 0:
        return None, "SUV not computed: weight, injected dose or half-life is missing"
    if dose_bq < 1e5:
        return None, f"SUV not computed: an injected dose of {dose_bq:g} Bq is not plausible (MBq meant?)"
    correction = string(ds, "DecayCorrection")
    if correction == "ADMIN":
        decayed = dose_bq
    elif correction == "START":
        scan = moment(string(ds, "SeriesDate") or string(ds, "AcquisitionDate"), string(ds, "SeriesTime"))
        begun = moment(string(ds, "AcquisitionDate"), string(ds, "AcquisitionTime"))
        injected = _injection(ds, tracer)
        if scan is None or injected is None:
            return None, "SUV not computed: injection or scan time is missing"
        if begun is not None and begun < scan:
            # A series time after the first acquisition marks post-processing, not the decay reference.
            scan = begun
        delay = (scan - injected).total_seconds()
        if delay < 0:
            delay += timedelta(days=1).total_seconds()
        if not 0 <= delay <= 12 * 3600:
            return None, f"SUV not computed: {delay / 3600:.1f} h between injection and scan is not plausible"
        decayed = dose_bq * 2.0 ** (-delay / half_life_s)
    else:
        return None, f"SUV not computed: decay correction is {correction or 'not stated'}"
    return weight_kg * 1000.0 / decayed, None


def _injection(ds: Dataset, tracer: Dataset) -> datetime | None:
    full = string(tracer, "RadiopharmaceuticalStartDateTime")
    if len(full) >= 14:
        return moment(full[:8], full[8:].split("+")[0].split("-")[0])
    day = string(ds, "SeriesDate") or string(ds, "AcquisitionDate")
    return moment(day, string(tracer, "RadiopharmaceuticalStartTime"))
