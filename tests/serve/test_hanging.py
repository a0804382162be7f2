"""Windows and layouts are those of the clinical rules."""

from __future__ import annotations

import numpy as np
import pytest

from sagittal.serve.hanging import layout, presets
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.study import Acquisition, Series
from sagittal.study.volume import Volume


def series(modality: str, shape: tuple[int, ...] = (8, 16, 16), **changes: object) -> Series:
    geometry = Geometry.from_spacing((5, 1, 1)) if len(shape) == 3 else Plane((0.2, 0.2))
    volume = Volume(np.zeros(shape, np.int16), geometry)
    made = {
        "uid": "1.2",
        "modality": modality,
        "shape": shape,
        "geometry": geometry,
        "unit": "HU" if modality == "CT" else "arbitrary",
        "decode": lambda: volume,
    }
    return Series(**{**made, **changes})  # type: ignore[arg-type]


def mr(sequence: str) -> Series:
    return series("MR", acquisition=Acquisition(sequence=sequence))


CLINICAL = {
    "Lung": (1500, -600),
    "Mediastinum": (400, 40),
    "Bone": (2000, 500),
    "Brain": (80, 40),
    "Subdural": (200, 80),
    "Stroke": (40, 40),
}


@pytest.mark.parametrize(
    ("part", "first"),
    [("CHEST", "Lung"), ("HEAD", "Brain"), (None, "Mediastinum"), ("PELVIS", "Mediastinum")],
)
def test_ct_windows_are_the_clinical_ones(part: str | None, first: str) -> None:
    found = presets(series("CT", body_part=part), np.zeros((2, 2)))
    assert found[0].name == first
    assert len(found) <= 6
    for preset in found:
        assert (preset.width, preset.level) == CLINICAL[preset.name]


def test_windows_without_a_unit_follow_the_grey_levels() -> None:
    voxels = np.concatenate([np.zeros(9000), np.linspace(400, 1400, 1000)]).reshape(100, 100)
    found = {p.name: p for p in presets(series("MR"), voxels)}
    low, high = (found["Full"].level - 0.5 + sign * (found["Full"].width - 1) / 2 for sign in (-1, 1))
    assert (low, high) == (0.0, 1400.0)
    assert found["Contrast"].width < found["Standard"].width <= found["Full"].width
    flat = presets(series("DX", (4, 4)), np.full((4, 4), 7))
    assert all(p.width >= 1 and np.isfinite(p.level) for p in flat)


def test_mr_hangs_in_the_order_of_the_rules() -> None:
    current = {str(n): mr(name) for n, name in enumerate(("ADC", "FLAIR", "T1c", "DWI", "T2", "T1"))}
    columns, panes = layout(current, {})
    assert columns == 3
    assert [current[p.series].acquisition.sequence for p in panes] == [
        "T1",
        "T1c",
        "T2",
        "FLAIR",
        "DWI",
        "ADC",
    ]


def test_mr_hangs_like_with_like_beside_a_prior() -> None:
    columns, panes = layout(
        {"0": mr("T1"), "1": mr("FLAIR"), "2": mr("T1c")}, {"p0": mr("FLAIR"), "p1": mr("T1c")}
    )
    assert columns == 2
    assert [p.series for p in panes] == ["2", "p1", "1", "p0"]


def test_ct_hangs_lung_and_mediastinum_axial_and_coronal() -> None:
    columns, panes = layout({"0": series("CT")}, {})
    assert columns == 2
    assert [(p.plane, p.preset) for p in panes] == [
        ("axial", 0),
        ("axial", 1),
        ("coronal", 0),
        ("coronal", 1),
    ]
    _, panes = layout({"0": series("CT")}, {"p0": series("CT")})
    assert [(p.series, p.plane) for p in panes] == [
        ("0", "axial"),
        ("p0", "axial"),
        ("0", "coronal"),
        ("p0", "coronal"),
    ]
    _, panes = layout({"0": series("CT", (1, 16, 16))}, {})
    assert [(p.series, p.plane) for p in panes] == [("0", "axial")]


def test_films_hang_with_the_prior_beside() -> None:
    two = {"0": series("DX", (9, 9)), "1": series("DX", (9, 9))}
    assert layout(two, {"p0": series("DX", (9, 9))}) == (3, layout(two, {"p0": series("DX", (9, 9))})[1])
    assert [p.series for p in layout({"0": two["0"]}, {"p0": two["1"]})[1]] == ["0", "p0"]
    assert layout({"0": series("DX", (9, 9), readable=False)}, {}) == (1, ())
