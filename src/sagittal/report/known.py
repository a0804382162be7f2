"""Whether the vocabulary knows what a reading or findings name: asked before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sagittal.errors import BadInput
from sagittal.report.finding import Finding
from sagittal.report.reading import Reading
from sagittal.report.vocabulary import observation, site


def check_known(what: Reading | Iterable[Finding], name: str = "") -> None:
    """Refuse keys of observations and sites that the vocabulary does not have.

    Args:
        name: what the findings came in, for the message; empty: "the reading" or "the findings".

    Raises:
        BadInput: names the place and the key.
    """
    name = name or ("the reading" if isinstance(what, Reading) else "the findings")
    for place, kind, key in _keys(what):
        try:
            _ = observation(key) if kind == "observation" else site(key)
        except KeyError:
            raise BadInput(
                f"{name} names the {kind} {key!r} ({place}), which the vocabulary does not know",
                f"one of the vocabulary's {kind}s",
            ) from None


def _keys(what: Reading | Iterable[Finding]) -> Iterator[tuple[str, str, str]]:
    """Where a key stands, what it should be, and the key."""
    reading = what if isinstance(what, Reading) else None
    findings = reading.findings if reading is not None else what
    assert not isinstance(findings, Reading)
    for number, finding in enumerate(findings):
        yield f"findings[{number}]", "observation", finding.observation.key
        if finding.site is not None:
            yield f"findings[{number}]", "site", finding.site.key
    if reading is not None:
        for number, score in enumerate(reading.scores):
            yield f"scores[{number}]", "observation", score.observation.key
        for number, mask in enumerate(reading.masks):
            if mask.observation is not None:
                yield f"masks[{number}]", "observation", mask.observation.key
