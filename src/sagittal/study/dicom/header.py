"""What every written object says of its patient, study and maker.

Source: PS3.3 C.7.1.1 (patient), C.7.2.1 (study), C.7.5.1 (equipment), C.12.1 (SOP common).
"""

from __future__ import annotations

from datetime import date

from pydicom.dataset import Dataset

from sagittal.study.study import Patient, Study
from sagittal.study.uid import derived_uid, dicom_uid

IMPLEMENTATION_UID = derived_uid("sagittal", "implementation")
IMPLEMENTATION_NAME = "SAGITTAL_1"
MANUFACTURER = "Sagittal"


def text(value: str, length: int = 64) -> str:
    """``value`` as a one-line DICOM string of at most ``length`` characters."""
    return " ".join(value.replace("\\", "/").split())[:length].rstrip()


def da(day: date | None) -> str:
    """A DICOM date; empty where unknown."""
    return day.strftime("%Y%m%d") if day else ""


def age_string(years: float | None) -> str:
    """A DICOM Age String: years from two on, months below, days below one month."""
    if years is None or not 0 <= years < 1000:
        return ""
    if years >= 2:
        return f"{int(years):03d}Y"
    months = round(years * 12)
    return f"{months:03d}M" if months >= 1 else f"{round(years * 365.25):03d}D"


def fill_study(ds: Dataset, study: Study) -> None:
    """Patient, general study and patient study modules, as the study knows them."""
    fill_patient(ds, study.patient)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.StudyInstanceUID = dicom_uid(study.uid)
    ds.StudyDate = da(study.date)
    ds.StudyTime = ""
    ds.StudyID = ""
    ds.AccessionNumber = text(study.accession_number, 16)
    ds.ReferringPhysicianName = ""
    if study.description:
        ds.StudyDescription = text(study.description)
    if study.synthetic:
        ds.QualityControlSubject = "YES"


def fill_patient(ds: Dataset, patient: Patient) -> None:
    """Patient module and the age at the study."""
    ds.PatientName = text(patient.name)
    ds.PatientID = text(patient.id)
    ds.PatientBirthDate = da(patient.birth_date)
    ds.PatientSex = patient.sex if patient.sex in ("M", "F", "O") else ""
    if age := age_string(patient.age_years):
        ds.PatientAge = age
