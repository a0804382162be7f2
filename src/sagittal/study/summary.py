"""What a reading and `inspect` say of a study: enough to find it again, no voxels."""

from __future__ import annotations

from sagittal.report.reading import SeriesSummary, StudySummary
from sagittal.study.study import Series, Study


def summarise_series(series: Series) -> SeriesSummary:
    """One series in z, y, x."""
    return SeriesSummary(
        uid=series.uid,
        modality=series.modality,
        description=series.description,
        shape=series.shape,
        spacing_mm=series.geometry.spacing_mm,
        orientation=series.geometry.orientation,
        unit=series.unit,
        problems=series.problems,
    )


def summarise(study: Study) -> StudySummary:
    """The study with all its series; priors by UID. No name, no birth date."""
    return StudySummary(
        uid=study.uid,
        patient_id=study.patient.id,
        date=study.date,
        sex=study.patient.sex,
        age_years=study.patient.age_years,
        description=study.description,
        synthetic=study.synthetic,
        series=tuple(map(summarise_series, study.series)),
        priors=tuple(prior.uid for prior in study.priors),
        stated=dict(study.stated),
        problems=study.problems,
    )
