"""A reading as one self-contained page: report, key images, evidence, provenance. No scripts."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined

from sagittal.report.disclosure import disclosure, signed
from sagittal.report.draft import mention
from sagittal.report.finding import Finding, Presence
from sagittal.report.reading import Reading
from sagittal.report.vocabulary import observation


def _there(finding: Finding) -> bool:
    return finding.presence in (Presence.PRESENT, Presence.UNCERTAIN)


def _probability(reading: Reading, finding: Finding) -> str:
    """The number, only on images of the domain it was calibrated on; phantoms are one of their own."""
    if finding.probability is None or not finding.domain:
        return ""
    if finding.domain.startswith("phantom") != reading.study.synthetic:
        return "not calibrated on this kind of image"
    p = finding.probability
    shown = "> 0.99" if p > 0.99 else "< 0.01" if p < 0.01 else f"{p:.2f}"
    return f"{shown} ({finding.domain})"


@cache
def _template() -> str:
    return resources.files("sagittal.report").joinpath("reading.html.j2").read_text("utf-8")


def html(reading: Reading, pictures: Mapping[tuple[str, str], bytes] | None = None) -> str:
    """The page.

    Args:
        pictures: PNG bytes by (series UID, name of the mask or "anatomy").
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    series = {s.uid: s for s in reading.study.series}
    images = [
        {
            "name": name.replace("_", " "),
            "series": series[uid].description or series[uid].modality if uid in series else "",
            "data": base64.b64encode(png).decode("ascii"),
        }
        for (uid, name), png in (pictures or {}).items()
    ]
    findings = [
        {
            "id": f"finding-{number}",
            "uid": f.tracking_uid,
            "text": mention(f),
            "presence": f.presence.value,
            "level": f.certainty.value if f.certainty else f.presence.value,
            "probability": _probability(reading, f),
            "mask": f.evidence.mask.replace("_", " ") if f.evidence and f.evidence.mask else "",
            "slices": ", ".join(str(i + 1) for i in f.evidence.slices_index[:3]) if f.evidence else "",
            "source": f.source or "",
        }
        for number, f in enumerate(reading.findings, 1)
    ]
    flags = {
        f.tracking_uid: f"category {f.actionable}" for f in reading.findings if f.actionable and _there(f)
    }
    scores = [f"{observation(s.observation.key).term} {s.level}" for s in reading.scores]
    anchors = {f["uid"]: f["id"] for f in findings}
    page: str = environment.from_string(_template()).render(
        reading=reading,
        study=reading.study,
        banner=disclosure(reading),
        signed=signed(reading),
        findings=findings,
        anchors=anchors,
        flags=flags,
        scores=scores,
        series={uid: s.description or s.modality for uid, s in series.items()},
        images=images,
    )
    return page
