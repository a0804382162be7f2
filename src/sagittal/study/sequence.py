"""What kind of MR sequence or contrast phase a series is, from what its header says.

The rule, first match wins:
1. ImageType names an ADC map or a diffusion trace; a b-value above zero is diffusion.
2. Words of the description, protocol and sequence name: ADC, DWI, (T2*, SWI, perfusion, angiography:
   none of ours), T1 (also "T1 FLAIR" and the 3D names MPRAGE, SPGR, BRAVO), FLAIR, T2.
3. Spin-echo times: FLAIR for TI 1500-3200 ms with TE over 60 ms; T1 for TR under 1000 ms with TE
   under 30 ms; T2 for TR of 2000 ms or more with TE of 70 ms or more.
T1 becomes T1c when the description says "post", "Gd", "+C" ... or a contrast agent is named and the
description does not say "pre". Otherwise nothing is inferred.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_WORDS = re.compile(r"[a-z]+[0-9]*\*?|[0-9]+|\+c|\+")
_ADC = {"adc", "dadc", "eadc"}
_DWI = {"dwi", "diff", "diffusion", "trace", "tracew", "isodwi", "resolve", "dw", "b1000", "b800"}
_OTHER = {
    "swi", "swan", "t2*", "t2star", "hemo", "perf", "perfusion", "dsc", "dce", "tof", "mra", "mrv", "angio",
    "asl", "pd", "fa", "dti", "cbf", "cbv", "mtt", "bold", "fmri", "rest", "fieldmap", "spectroscopy", "mrs",
}  # fmt: skip
_T1 = {"t1", "t1w", "mprage", "mp2rage", "spgr", "bravo", "fspgr", "vibe", "tfl3d", "t1se", "t1tse", "t1fse"}
_FLAIR = {"flair", "tirm", "darkfluid"}
_T2 = {"t2", "t2w", "t2tse", "t2fse", "t2se"}
_POST = {"post", "gd", "gad", "gado", "gadolinium", "ce", "contrast", "km", "gbca", "postcontrast", "t1c",
         "t1gd", "t1ce", "t1post", "+c", "+", "enhanced", "kontrast"}  # fmt: skip
_PRE = {"pre", "precontrast", "native", "nativ", "without", "unenhanced", "t1pre", "plain"}
_NO_AGENT = {"", "none", "no", "no contrast", "n/a", "na", "0"}


def words(text: str) -> set[str]:
    """Lower-case words; "T1post_reg" gives t1, post, t1post and reg."""
    lowered = re.sub(r"dark[ _-]?fluid", "darkfluid", text.lower())
    found: set[str] = set()
    for word in _WORDS.findall(re.sub(r"(t[12])[_ -]?star", r"\1*", lowered)):
        found.add(word)
    for match in re.finditer(r"(t[12])(post|pre|gd|ce|c|w|tse|fse|se|flair)(?![a-z])", lowered):
        found |= {match[1], match[2], match[0]}
    return found


def has_agent(agent: str | None) -> bool:
    """Whether ContrastBolusAgent (0018,0010) names an agent rather than its absence."""
    return agent is not None and agent.strip().lower() not in _NO_AGENT


def mr_sequence(
    *,
    description: str = "",
    image_type: Sequence[str] = (),
    scanning: Sequence[str] = (),
    agent: str | None = None,
    b_value: float | None = None,
    tr_ms: float | None = None,
    te_ms: float | None = None,
    ti_ms: float | None = None,
) -> str | None:
    """T1, T1c, T2, FLAIR, DWI or ADC by the rule above; None where it does not say."""
    said, kinds = words(description), {value.upper() for value in image_type}
    if kinds & {"ADC", "ADC_UNSPECIFIED"} or said & _ADC:
        return "ADC"
    if kinds & {"FA", "DTI"}:
        return None
    if b_value or kinds & {"TRACEW", "DIFFUSION"}:
        return "DWI"
    if said & _DWI and not said & {"fa"}:
        return "DWI"
    if said & _OTHER:
        return None
    if said & _T1:
        return "T1c" if _enhanced(said, agent) else "T1"
    if said & _FLAIR:
        return "FLAIR"
    if said & _T2:
        return "T2"
    if "SE" not in scanning or tr_ms is None or te_ms is None:
        return None
    if ti_ms is not None and ti_ms > 0:
        return "FLAIR" if 1500 <= ti_ms <= 3200 and te_ms > 60 else None
    if tr_ms < 1000 and te_ms < 30:
        return "T1c" if _enhanced(said, agent) else "T1"
    return "T2" if tr_ms >= 2000 and te_ms >= 70 else None


def _enhanced(said: set[str], agent: str | None) -> bool:
    if said & _PRE:
        return False
    return bool(said & _POST) or has_agent(agent)


_PHASES = (
    ("none", r"non[ -]?contrast|unenhanced|without contrast|native|nativ|\bnc\b|\bplain\b"),
    ("arterial", r"arterial|\bart\b|angio|\bcta\b"),
    ("portal venous", r"portal|\bpv\b|\bpvp\b|venous|\bven\b"),
    ("delayed", r"delayed|\blate\b|excretory|nephrographic"),
)


def contrast_phase(description: str, agent: str | None) -> str | None:
    """none, arterial, portal venous, delayed or (an agent without a phase) enhanced; None: not said."""
    lowered = description.lower().replace("_", " ")
    for phase, pattern in _PHASES:
        if re.search(pattern, lowered):
            return phase
    if agent is None or agent.strip() == "":
        return None
    return "enhanced" if has_agent(agent) else "none"
