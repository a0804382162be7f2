"""Studies that are open: decoded once, hung for display, the least used put away first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sagittal.errors import BadInput
from sagittal.serve.hanging import Preset, presets
from sagittal.serve.pixels import Encoding, PlaneInfo, View, cut, encoding, hang, planes
from sagittal.serve.store import Store
from sagittal.study.open import open_study
from sagittal.study.study import Series, Study

SCATTERED = 20
"""Pieces from which a mask counts as scattered: emphysema, not a nodule or white-matter lesions."""


class Shown:
    """One series with what its display needs, worked out when first asked for."""

    def __init__(self, series: Series) -> None:
        self.series = series

    @cached_property
    def view(self) -> View:
        """The voxels, hung."""
        return hang(self.series.volume)

    @cached_property
    def encoding(self) -> Encoding:
        """How they travel."""
        return encoding(self.series.volume.voxels)

    @cached_property
    def planes(self) -> dict[str, PlaneInfo]:
        """The planes they can be cut into, by name."""
        return {plane.name: plane for plane in planes(self.view)}

    @cached_property
    def presets(self) -> tuple[Preset, ...]:
        """The windows they are shown with."""
        return presets(self.series, self.series.volume.voxels)

    def pixels(self, plane: str, k: int) -> bytes:
        """A plane's samples; IndexError when there is no such plane."""
        if plane not in self.planes:
            raise IndexError(f"no plane {plane!r}")
        return self.encoding.encode(cut(self.view.voxels, plane, k))

    def mask_bits(self, mask: NDArray[np.bool_], plane: str, k: int) -> bytes:
        """A plane of a mask on this series' grid, eight pixels a byte, lowest bit first."""
        if plane not in self.planes or mask.shape != self.series.volume.shape:
            raise IndexError("the mask is not on this grid")
        return np.packbits(cut(self.view.turn(mask), plane, k), bitorder="little").tobytes()


@dataclass(eq=False)
class Opened:
    """A study and its prior on the shelf. Keys: "0", "1" ... for the study, "p0" ... for the prior."""

    study: Study
    prior: Study | None
    shown: dict[str, Shown]
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    _scattered: dict[str, bool] = field(default_factory=dict)

    def scattered(self, name: str) -> bool:
        """Whether a mask lies in so many pieces that its outline would hide the image."""
        if name not in self._scattered:
            self._scattered[name] = int(ndimage.label(self.masks[name])[1]) > SCATTERED
        return self._scattered[name]

    def key_of(self, series_uid: str | None) -> str | None:
        """The key of a series of the current study, by its UID."""
        for key, shown in self.shown.items():
            if not key.startswith("p") and shown.series.uid == series_uid:
                return key
        return None

    def current(self) -> dict[str, Series]:
        """The study's own series by key."""
        return {key: shown.series for key, shown in self.shown.items() if not key.startswith("p")}

    def before(self) -> dict[str, Series]:
        """The prior's series by key."""
        return {key: shown.series for key, shown in self.shown.items() if key.startswith("p")}


def opened(study: Study) -> Opened:
    """Put a study's readable series in order. The prior is the latest of its priors."""
    dated = [prior for prior in study.priors if prior.date is not None]
    prior = max(dated, key=lambda p: str(p.date)) if dated else next(iter(study.priors), None)
    shown = {str(n): Shown(series) for n, series in enumerate(_readable(study))}
    if prior is not None:
        shown |= {f"p{n}": Shown(series) for n, series in enumerate(_readable(prior))}
    return Opened(study, prior, shown)


def _readable(study: Study) -> list[Series]:
    kept = []
    for series in study.series:
        if not series.readable:
            continue
        try:
            usable = series.volume.voxels.size > 0
        except BadInput:
            # The series said it could be decoded and could not; its problem stands in the reading.
            usable = False
        if usable:
            kept.append(series)
    return kept


class Shelf:
    """Open studies by their id in the store; at most ``size`` at a time."""

    def __init__(self, store: Store, size: int) -> None:
        self._store, self._size = store, size
        self._held: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, study: str) -> Opened:
        """The opened study.

        Raises:
            KeyError: there is no such study.
            BadInput: its files cannot be read.
        """
        with self._lock:
            if study in self._held:
                self._held.move_to_end(study)
                return self._held[study]
            row = self._store.row(study)
            prior = Path(row.prior) if row.prior else None
            found = opened(open_study(Path(row.source), prior=prior))
            found.masks = self._store.masks(study)
            self._held[study] = found
            while len(self._held) > self._size:
                self._held.popitem(last=False)
            return found

    def refresh_masks(self, study: str) -> None:
        """Load the masks again after the worker has written them."""
        with self._lock:
            if study in self._held:
                held = self._held[study]
                held.masks, held._scattered = self._store.masks(study), {}
