"""What is true of a brain MR: masks, findings with measurements, difficulty, series."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sagittal.phantom.brain import BrainSubject
from sagittal.phantom.brain_lesions import MASSES, Lesion, Stuff, midline_shift_mm
from sagittal.phantom.brain_shape import TISSUES
from sagittal.phantom.mr_scan import Scan
from sagittal.phantom.mr_signal import SEQUENCES
from sagittal.phantom.noise import Array
from sagittal.phantom.truth import LABELS, Acquired, Scope
from sagittal.report.finding import Evidence, Finding, Laterality, Measurement, Severity
from sagittal.report.vocabulary import concept, observation, site
from sagittal.study.geometry import Geometry
from sagittal.study.study import Acquisition, Series
from sagittal.study.volume import Volume

if TYPE_CHECKING:
    from sagittal.phantom.mr import Exposure

Mask = NDArray[np.bool_]
BRAIN = ("grey", "white", "deep_grey", "pallidum", "stem")
RING_VOXELS = 5
"""Width in the plane of the ring in which the lesion-free image's spread is measured."""

SEEN_ON: dict[str, tuple[str, ...]] = {
    "intra_axial_mass": ("T1", "T1c", "T2", "FLAIR", "DWI"),
    "contrast_enhancement": ("T1c",),
    "vasogenic_oedema": ("FLAIR", "T2"),
    "restricted_diffusion": ("DWI", "ADC"),
    "acute_infarct": ("DWI", "ADC"),
    "white_matter_hyperintensity": ("FLAIR", "T2"),
    "mass_effect": ("T1",),
}
"""Where each finding is looked for; contrast-to-noise is that of the best of them."""


def acquired(subject: BrainSubject, scan: Scan, exposure: Exposure, scope: Scope) -> Acquired:
    """Put images and truth together."""
    grid, anatomy = exposure.grid, exposure.anatomy
    geometry = Geometry(
        Geometry.from_spacing(grid.spacing_mm, grid.origin_mm[::-1]).affine, scope.uid("frame of reference")
    )
    series = _series(exposure, scan, geometry, scope)
    masks = _masks(subject, exposure)
    everything = np.zeros(grid.shape, bool)
    for name, mask in masks.items():
        if name != "brain":
            everything |= mask
    findings = []
    contrast: dict[str, float] = {}
    for lesion in subject.lesions:
        for name in lesion.findings:
            key = name.rsplit("-", 1)[0]
            shown = name if name in masks else lesion.findings[0]
            findings.append(_finding(subject, lesion, key, name, shown, masks[shown], geometry, scope))
            if name in masks:
                tracking = scope.tracking_uid(name)
                contrast[tracking] = contrast_to_noise(
                    exposure, masks[name], masks["brain"] & ~everything, SEEN_ON[key]
                )
    if subject.atrophic:
        severe = subject.head.atrophy
        findings.append(
            Finding(
                concept("cerebral_atrophy"),
                severity=Severity.MILD
                if severe < 0.65
                else Severity.MODERATE
                if severe < 0.85
                else Severity.SEVERE,
                evidence=Evidence(series_uid=scope.uid("series", "T1")),
                tracking_uid=scope.tracking_uid("cerebral_atrophy-1"),
                source="phantom",
            )
        )
    present = {f.observation for f in findings}
    labels = {key: int(concept(key) in present) for key in LABELS["brain-mr"]}
    thin_ml = float(np.prod(grid.spacing_mm)) / (anatomy.box[0] / grid.shape[0]) / 1000.0
    brain = sum(float(anatomy.fraction[TISSUES.index(name)].sum()) for name in BRAIN)
    measurements = {
        "brain_volume_ml": round(brain * thin_ml, 1),
        "ventricle_volume_ml": round(float(anatomy.fraction[TISSUES.index("ventricle")].sum()) * thin_ml, 2),
        "midline_shift_mm": round(midline_shift_mm(subject.lesions, subject.head.scale[0]), 2),
        "atrophy_share": round(subject.head.atrophy, 3),
    }
    for lesion in subject.lesions:
        for name in lesion.findings:
            if name in masks:
                measurements[f"{name}_volume_ml"] = round(Volume(masks[name], geometry).inside_ml, 2)
    return Acquired(
        series=series,
        masks={name: Volume(mask.astype(np.uint8), geometry) for name, mask in masks.items()},
        findings=tuple(findings),
        labels=labels,
        contrast_to_noise=contrast,
        measurements=measurements,
        description="MR brain without and with contrast",
    )


def _series(exposure: Exposure, scan: Scan, geometry: Geometry, scope: Scope) -> tuple[Series, ...]:
    p = scan.protocol
    timing: dict[str, tuple[float, float, float | None, float]] = {
        "T1": (p.t1_tr, p.t1_te, None, p.t1_flip),
        "T1c": (p.t1_tr, p.t1_te, None, p.t1_flip),
        "T2": (p.t2_tr, p.t2_te, None, 90.0),
        "FLAIR": (p.flair_tr, p.flair_te, p.flair_ti, 90.0),
        "DWI": (p.dwi_tr, p.dwi_te, None, 90.0),
        "ADC": (p.dwi_tr, p.dwi_te, None, 90.0),
    }
    titles = ("AX T1", "AX T1 POST", "AX T2", "AX FLAIR", f"AX DWI b{p.b_value:.0f}", "AX ADC")

    def decoder(voxels: NDArray[np.uint16]) -> Callable[[], Volume]:
        return lambda: Volume(voxels, geometry)

    out = []
    for number, (name, title) in enumerate(zip(SEQUENCES, titles, strict=True), start=1):
        tr, te, ti, flip = timing[name]
        voxels = exposure.voxels[name]
        acquisition = Acquisition(
            manufacturer=scan.manufacturer,
            model_name=scan.model,
            tr_ms=tr,
            te_ms=te,
            ti_ms=ti,
            flip_angle_deg=flip,
            field_strength_t=p.field_t,
            b_value=p.b_value if name in ("DWI", "ADC") else None,
            slice_thickness_mm=scan.slice_mm,
            contrast_agent="gadobutrol" if name == "T1c" else None,
            sequence=name,
        )
        out.append(
            Series(
                uid=scope.uid("series", name),
                modality="MR",
                shape=voxels.shape,
                geometry=geometry,
                unit="arbitrary",
                decode=decoder(voxels),
                description=title,
                body_part="BRAIN",
                acquisition=acquisition,
                number=number,
            )
        )
    return tuple(out)


def _masks(subject: BrainSubject, exposure: Exposure) -> dict[str, Mask]:
    anatomy, grid = exposure.anatomy, exposure.grid
    top, left = anatomy.corner
    _, height, width = anatomy.box

    def on_grid(values: Array, threshold: float = 0.5) -> Mask:
        share = anatomy.slices(values)
        threshold = min(threshold, 0.6 * float(share.max(initial=0.0))) or 1.0
        mask = np.zeros(grid.shape, bool)
        mask[:, top : top + height, left : left + width] = share >= threshold
        return mask

    def of(number: int, *stuff: Stuff) -> Array:
        values = np.zeros(anatomy.x.size, np.float32)
        for layer in exposure.stack:
            if layer.lesion == number and layer.stuff in stuff:
                values[layer.where] = np.maximum(values[layer.where], layer.full)
        return values

    matter = np.zeros(anatomy.x.size, np.float32)
    for name in BRAIN:
        matter += anatomy.fraction[TISSUES.index(name)]
    bodies = np.zeros_like(matter)
    for number, lesion in enumerate(subject.lesions):
        if lesion.kind in MASSES:
            bodies = np.maximum(bodies, of(number, "tumour"))
    masks = {"brain": on_grid(np.maximum(matter, bodies))}
    for number, lesion in enumerate(subject.lesions):
        for name in lesion.findings:
            key = name.rsplit("-", 1)[0]
            if key == "intra_axial_mass":
                values = of(number, "tumour")
            elif key == "contrast_enhancement":
                values = of(number, "rim")
            elif key == "vasogenic_oedema":
                values = of(number, "oedema") * (1.0 - of(number, "tumour"))
            elif key == "restricted_diffusion":
                values = of(number, {"infarct": "infarct", "abscess": "pus"}.get(lesion.kind, "tumour"))  # type: ignore[arg-type]
            elif key == "acute_infarct":
                values = of(number, "infarct")
            elif key == "white_matter_hyperintensity":
                values = of(number, "gliosis")
            else:
                continue  # mass effect is a displacement: it is shown by the lesion that pushes
            masks[name] = on_grid(values)
    return masks


def _finding(
    subject: BrainSubject, lesion: Lesion, key: str, name: str, shown: str, mask: Mask, geometry: Geometry,
    scope: Scope,
) -> Finding:  # fmt: skip
    sided = observation(key).laterality == "sided"
    lateral = None
    if sided:
        sides = {cx > 0 for cx, *_ in lesion.centres}
        lateral = (
            Laterality.BILATERAL
            if len(sides) == 2
            else Laterality.LEFT
            if True in sides
            else Laterality.RIGHT
        )
    where = lesion.site
    if key == "mass_effect":
        where = "cerebral_hemisphere" if lesion.site not in ("cerebellum", "brain_stem") else lesion.site
    severity = None
    measurements: list[Measurement] = []
    attributes: list[tuple[str, str]] = []
    if key == "white_matter_hyperintensity":
        severity = (
            Severity.MILD
            if lesion.extent < 0.62
            else Severity.MODERATE
            if lesion.extent < 0.82
            else Severity.SEVERE
        )
    elif key == "mass_effect":
        severity = (
            Severity.MILD
            if lesion.push_mm < 5
            else Severity.MODERATE
            if lesion.push_mm < 8
            else Severity.SEVERE
        )
    else:
        if key in ("intra_axial_mass", "acute_infarct"):
            diameters = diameters_mm(mask, geometry)
            measurements.append(Measurement("diameter", diameters, "mm", method="largest", plane="axial"))
        measurements.append(
            Measurement("volume", (round(Volume(mask, geometry).inside_ml, 1),), "mL", method="mask")
        )
    if key == "contrast_enhancement":
        attributes.append(
            ("enhancement", "ring" if lesion.rim_mm else "gyral" if lesion.kind == "infarct" else "solid")
        )
    area = mask.sum((1, 2))
    order = np.argsort(-area, kind="stable")
    index = np.argwhere(mask)
    corners = (
        geometry.to_mm(np.stack([index.min(0) - 0.5, index.max(0) + 0.5])) if len(index) else np.zeros((2, 3))
    )
    return Finding(
        concept(key),
        site=site(where).concept,
        laterality=lateral,
        severity=severity,
        attributes=tuple(attributes),
        count=len(lesion.centres) if key == "intra_axial_mass" and len(lesion.centres) > 1 else None,
        measurements=tuple(measurements),
        actionable=observation(key).actionable,
        tracking_uid=scope.tracking_uid(name),
        evidence=Evidence(
            series_uid=scope.uid("series", SEEN_ON[key][0]),
            mask=shown,
            box_mm=tuple(float(v) for v in corners.ravel()),
            slices_index=tuple(int(k) for k in order if area[k])[:8],
        ),
        source="phantom",
    )


def diameters_mm(mask: Mask, geometry: Geometry) -> tuple[float, float]:
    """Longest diameter and the one across it, in mm, of the largest part on its largest axial slice."""
    k = int(mask.sum((1, 2)).argmax())
    labels, count = ndimage.label(mask[k])
    if count == 0:
        return (0.0, 0.0)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    _, dy, dx = geometry.spacing_mm
    points = np.argwhere(labels == largest) * (dy, dx)
    angle = np.deg2rad(np.arange(0, 180, 5))
    across = points[:, :1] * np.sin(angle) + points[:, 1:] * np.cos(angle)
    extent = across.max(0) - across.min(0) + (dy + dx) / 2
    best = int(extent.argmax())
    return (round(float(extent[best]), 1), round(float(extent[(best + 18) % 36]), 1))


def contrast_to_noise(exposure: Exposure, mask: Mask, healthy: Mask, sequences: tuple[str, ...]) -> float:
    """|mean change in ``mask``| over the spread of the lesion-free noisy image in a ring of brain around.

    Args:
        mask: (z, y, x) of the grid; healthy: brain without any lesion.
        sequences: where it may be seen; the best counts.
    """
    top, left = exposure.anatomy.corner
    _, height, width = exposure.anatomy.box
    window = (slice(None), slice(top, top + height), slice(left, left + width))
    inner, healthy = mask[window], healthy[window]
    keep = inner.any((1, 2))
    ring = (
        ndimage.binary_dilation(inner[keep], np.ones((1, 3, 3), bool), iterations=RING_VOXELS) & healthy[keep]
    )
    if not inner.any() or ring.sum() < 8:
        return 0.0
    best = 0.0
    for name in sequences:
        change = float(exposure.change[name][inner].mean())
        spread = float(exposure.clean[name][keep][ring].std())
        best = max(best, abs(change) / max(spread, 1e-6))
    return round(best, 3)
