"""Go through a set although some of its studies are corrupt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sagittal.datasets.dataset import Dataset, Row
from sagittal.errors import BadInput, SagittalError
from sagittal.study.study import Study

_NAMED = 10


@dataclass(frozen=True)
class Unreadable:
    """A study that could not be read, and why."""

    study: str
    reason: str


@dataclass
class Readable:
    """Iterate over it for (row, study); afterwards ``failed`` lists what could not be read."""

    data: Dataset
    decode: bool = True
    failed: list[Unreadable] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[Row, Study]]:
        self.failed.clear()
        for row in self.data.rows:
            study = self._read(row)
            if study is not None:
                yield row, study
        if self.data.rows and len(self.failed) == len(self.data.rows):
            raise BadInput(
                f"{self.data.name}: none of {len(self.data.rows)} studies can be read; "
                f"the first, {self.failed[0].study}: {self.failed[0].reason}"
            )

    def _read(self, row: Row) -> Study | None:
        try:
            study = row.load()
            if not study.series:
                raise BadInput(f"{row.study} holds no image series")
            if self.decode:
                # Truncated pixel data show only here; the decoded volume is kept by the series.
                for series in study.series:
                    _ = series.volume
        except Exception as error:
            self.failed.append(Unreadable(row.study, reason_of(error)))
            return None
        return study

    @property
    def summary(self) -> str:
        """One line for the end of a run; "" where everything was read."""
        return summary(self.failed, len(self.data.rows))


def reason_of(error: Exception) -> str:
    """A decoder may raise anything on a damaged file: it is listed with its kind, never lost."""
    kind = "" if isinstance(error, SagittalError) else f"{type(error).__name__}: "
    return " ".join(f"{kind}{error}".split())


def summary(failed: Sequence[Unreadable], of: int) -> str:
    """One line about those of ``of`` studies that could not be read; "" where there are none."""
    if not failed:
        return ""
    named = "; ".join(f"{one.study} ({one.reason})" for one in failed[:_NAMED])
    more = len(failed) - _NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return f"{len(failed)} of {of} studies could not be read: {named}{rest}"


def readable(data: Dataset, *, decode: bool = True) -> Readable:
    """The studies of ``data`` one after the other, the corrupt ones left out and listed.

    Args:
        decode: decode every series, so that damaged pixels are noticed here rather than later.

    Iterating raises BadInput at its end where not a single study could be read.
    """
    return Readable(data, decode)


def checked(data: Dataset, advance: Callable[[int], None] | None = None) -> tuple[Dataset, Readable]:
    """The set without the studies that cannot be read, and the pass that found them.

    Raises:
        BadInput: no study can be read.
    """
    reading = readable(data)
    kept = []
    for row, _ in reading:
        kept.append(row)
        if advance is not None:
            advance(1)
    bad = {one.study for one in reading.failed}
    keep = np.array([row.study not in bad for row in data.rows], bool)
    return replace(data, rows=tuple(kept), targets=data.targets[keep]), reading
