"""What every registered metric of reports keeps: its range, perfection on identity, its direction."""

from __future__ import annotations

import pytest

from sagittal.measure.metrics import Metric, measure, per_case
from sagittal.report.cases import Case, Reported, beside
from sagittal.report.score import metrics
from sagittal.report.textual import RADCLIQ_PARTS

REFERENCES = (
    "Moderate right pleural effusion, larger. Left pneumothorax. 10 mm nodule in the right upper lobe, "
    "stable. No rib fracture.",
    "Large left pleural effusion, smaller. Right pneumothorax. 12 mm nodule in the left upper lobe, new. "
    "No rib fracture.",
    "The lungs are clear. No pleural effusion or pneumothorax.",
    "",
)
DEGRADED = (
    "Mild left effusion of the pleura, smaller. 30 mm nodule in the left lower lobe, new. Rib fracture seen.",
    "Mild right effusion of the pleura, larger. 40 mm nodule in the right lower lobe, stable. Rib fracture.",
    "There is a probable mass. Possible fracture of a rib.",
    "Cardiomegaly is seen today.",
)
"""In every facet something else, something critical missed, something invented, something denied."""


def cases(candidates: tuple[str, ...], references: tuple[str, ...]) -> tuple[Case, ...]:
    return beside(list(candidates), list(references), language="en")


ALL = metrics()


@pytest.fixture(params=ALL, ids=str)
def metric(request: pytest.FixtureRequest) -> Metric:
    return ALL[request.param]


def test_it_says_what_it_takes_to_read_it(metric: Metric) -> None:
    assert metric.version and metric.about and metric.empty
    assert metric.better in ("higher", "lower")
    assert metric.average in ("micro", "macro", "sample", "corpus")
    assert metric.name.endswith(f".{metric.average}")
    assert "\n" not in metric.about


def test_identical_reports_are_perfect(metric: Metric) -> None:
    same = cases(REFERENCES, REFERENCES)
    assert measure(metric, same, [c.id for c in same], repeats=20).interval.value == pytest.approx(
        metric.best
    )
    assert per_case(metric, same) == pytest.approx([metric.best] * len(same))


def test_two_empty_reports_are_perfect_and_an_empty_candidate_is_not_better_than_a_perfect_one(
    metric: Metric,
) -> None:
    assert per_case(metric, cases(("",), ("",))) == pytest.approx([metric.best])
    (nothing,) = per_case(metric, cases(("",), REFERENCES[:1]))
    assert metric.low <= nothing <= metric.high


def test_a_degraded_copy_is_worse_and_in_range(metric: Metric) -> None:
    worse = cases(DEGRADED, REFERENCES)
    found = measure(metric, worse, [c.id for c in worse], repeats=50)
    for value in (found.interval.value, found.interval.low, found.interval.high, *found.cases):
        assert metric.low <= value <= metric.high
    assert found.interval.low <= found.interval.value <= found.interval.high
    if metric.better == "higher":
        assert found.interval.value < metric.best
    else:
        assert found.interval.value > metric.best


def test_the_same_input_and_seed_give_the_same_numbers(metric: Metric) -> None:
    worse = cases(DEGRADED, REFERENCES)
    owners = ["a", "a", "b", "c"]
    first, second = (measure(metric, worse, owners, repeats=50, seed=3) for _ in range(2))
    assert first == second


def test_the_contract_can_fail() -> None:
    """A metric of the wrong direction would be noticed."""
    backwards = Metric(
        "backwards.sample",
        "1",
        "higher is better, it says",
        "higher",
        0.0,
        1.0,
        "sample",
        "0",
        lambda some: ALL["errors.sample"].rows(some),
        lambda row: min(1.0, float(row[0])),
    )
    same, worse = cases(REFERENCES, REFERENCES), cases(DEGRADED, REFERENCES)
    assert per_case(backwards, same).mean() < backwards.best
    assert per_case(backwards, worse).mean() > per_case(backwards, same).mean()


def test_the_names_that_radcliq_wants_are_either_here_or_explained() -> None:
    from sagittal.report.textual import explain

    assert all(part in ALL or explain(part) is not None for part in RADCLIQ_PARTS)


def test_a_case_is_as_good_as_its_reports_are_known() -> None:
    assert Case("1", "1", Reported("Normal."), Reported("Normal.")).texts == ("Normal.", "Normal.")
