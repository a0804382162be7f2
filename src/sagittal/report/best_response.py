"""The best overall response of RECIST 1.1 over a patient's course: table 3 of the guideline and the text
around it (Eisenhauer et al., Eur J Cancer 2009;45:228), checked against a copy of the table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sagittal.errors import BadInput
from sagittal.report.recist import CONFIRMED_DAYS, Assessment, Response


def best(assessments: Sequence[Assessment], *, confirmation: bool, stable_weeks: float) -> Response:
    """The best overall response up to the first progression.

    Args:
        confirmation: whether CR and PR must be seen again at least 4 weeks later (table 3), as in
            trials that are not randomised and whose endpoint is response.
        stable_weeks: how long after the baseline SD must be met (the protocol's number, in general not
            under 6 to 8 weeks).

    Raises:
        BadInput: there is no assessment.
    """
    if not assessments:
        raise BadInput("no assessment to take the best of", "at least one")
    path = _until_progression(assessments)
    seen = {response for _, response in path}
    held = _repeated(path) if confirmation else seen
    for response in (Response.CR, Response.PR):
        if response in held:
            return response
    at_least_stable = (Response.CR, Response.PR, Response.SD)
    first = assessments[0].baseline
    long = any((day - first).days >= 7 * stable_weeks for day, r in path if r in at_least_stable)
    again = Response.PR in seen and path[-1][1] is Response.SD
    if long or (confirmation and again):
        return Response.SD
    if Response.PD in seen:
        return Response.PD
    return Response.NON_CR_NON_PD if Response.NON_CR_NON_PD in seen else Response.NE


def _until_progression(assessments: Sequence[Assessment]) -> list[tuple[date, Response]]:
    """Dates and responses up to the first progression; after CR any disease is progression."""
    path: list[tuple[date, Response]] = []
    for one in assessments:
        response = one.overall
        if any(r is Response.CR for _, r in path) and response in (Response.PR, Response.SD):
            response = Response.PD
        path.append((one.day, response))
        if response is Response.PD:
            break
    return path


def _repeated(path: Sequence[tuple[date, Response]]) -> set[Response]:
    """The responses that a date at least four weeks later bears out, with nothing worse between."""
    found = set()
    for i, (day, response) in enumerate(path):
        enough = {Response.CR: {Response.CR}, Response.PR: {Response.CR, Response.PR}}.get(response, set())
        for other, then in path[i + 1 :]:
            if then is not Response.NE and then not in enough:
                break
            if then in enough and (other - day).days >= CONFIRMED_DAYS:
                found.add(response)
    return found
