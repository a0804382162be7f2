"""DeepBet: brain extraction on T1-weighted MR, its published weights in our own network.

The package `deepbet` 1.0.2 (MIT) carries two TorchScript archives. They are opened for their tensors
only; neither the package nor the archives' code runs. Steps as published: find the brain's box on a
128-cube of the whole field, extract at a 256-cube of that box, keep the largest component, fill holes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import interpolate

from sagittal.errors import BadInput, MissingExtra, Refused
from sagittal.study.geometry import Geometry
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume
from sagittal.zoo.capability import Masks
from sagittal.zoo.card import BranchCard, Card, DataUse
from sagittal.zoo.linknet import LinkNet3d

VERSION = "1.0.2"
ARCHIVES = {
    "data/models/bbox_model.pt": "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    "data/models/model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}
"""Archive -> sha256: a first network that finds the brain's box, and the one that outlines it."""
_SMALL, _LARGE, _MARGIN, _FOREGROUND = 128, 256, 0.1, 0.02
Box = tuple[slice, slice, slice]

BRANCH = "brain-t1"
SPEC = InputSpec(
    modality=("MR",), body_part="BRAIN", age_years=(18.0, 100.0), sequence=("T1", "T1c"), orientation="SAR"
)


def card() -> Card:
    """The card: what the authors say of it, and the digest of exactly the archives this code knows."""
    digest = hashlib.sha256("".join(f"{k}\0{v}" for k, v in sorted(ARCHIVES.items())).encode()).hexdigest()
    return Card(
        name="deepbet",
        version=VERSION,
        family="deepbet",
        summary="Brain extraction on T1-weighted MR (DeepBet, Fisch et al. 2024).",
        licence="MIT",
        digest=digest,
        branches={BRANCH: BranchCard(SPEC, masks=("brain",))},
        data=(DataUse("7837 T1-weighted MR of 191 OpenNeuro data sets, healthy adults", "see paper", 7837),),
        limitations=(
            "Made for healthy adults; large lesions, resections and children are outside its data.",
            "Thick slices: a volume from 6.5 mm slices is coarser than the network's own grid.",
        ),
        parameters=2 * sum(p.numel() for p in LinkNet3d().parameters()),
    )


def archive(name: str) -> Path:
    """Where an archive of the installed package lies, checked against its digest.

    Raises:
        MissingExtra: the package is not installed. BadInput: another version, or a damaged file.
    """
    try:
        distribution = metadata.distribution("deepbet")
    except metadata.PackageNotFoundError:
        raise MissingExtra(
            "the model deepbet needs the package deepbet, which is not installed",
            fix=f"run: pip install --no-deps deepbet=={VERSION}",
        ) from None
    path = Path(str(distribution.locate_file(name)))
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != ARCHIVES[name]:
        raise BadInput(
            f"{name} of deepbet {distribution.version} is not the published file",
            f"deepbet {VERSION}",
            f"run: pip install --no-deps --force-reinstall deepbet=={VERSION}",
        )
    return path


def network(name: str, device: str = "cpu") -> LinkNet3d:
    """Our network holding an archive's 38 tensors; the archive's own code never runs."""
    tensors = torch.jit.load(str(archive(name)), map_location="cpu").state_dict()
    net = LinkNet3d()
    net.load_state_dict(tensors, strict=True)
    return net.eval().requires_grad_(False).to(device)


def normalise(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """As published: clip to [low, high], then mean .449 and deviation .226."""
    x = ((x - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    return 0.226 * (x - x.mean()) / x.std().clamp_min(1e-6) + 0.449


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 26-connected component; all False where there is none."""
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    if not count:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def box_with_margin(mask: NDArray[np.bool_], shape: Sequence[int]) -> Box:
    """The mask's box on a grid of ``shape`` with a tenth of its size around it, as published."""
    slices = []
    for axis, size in enumerate(shape):
        others = tuple(i for i in range(3) if i != axis)
        (hit,) = np.nonzero(mask.mean(axis=others, dtype=np.float32) > _FOREGROUND)
        if not len(hit):
            raise Refused("no brain was found", "a T1-weighted MR of the head", "almost no foreground")
        scale = size / mask.shape[axis]
        centre = np.round(scale * (hit[-1] + 1 + hit[0]) / 2)
        extent = np.round((1 + 2 * _MARGIN) * scale * (hit[-1] + 1 - hit[0]))
        slices.append(slice(max(0, int(centre - extent / 2)), min(size, int(centre + extent / 2)), 1))
    return (slices[0], slices[1], slices[2])


@torch.inference_mode()
def extract(
    voxels: NDArray[np.float32], finder: torch.nn.Module, outliner: torch.nn.Module, device: str = "cpu"
) -> NDArray[np.bool_]:
    """Brain mask of an array whose axes grow towards R, A, S; any size and intensity.

    Raises:
        Refused: no brain was found.
    """
    x = torch.from_numpy(np.nan_to_num(voxels)).to(device)
    small = interpolate(x[None, None], (_SMALL,) * 3, mode="nearest-exact")
    ends = torch.quantile(small.flatten(), torch.tensor([0.005, 0.995], device=device))
    rough = finder(normalise(small, ends[0], ends[1]))[0, 1] > 0.5
    box = box_with_margin(largest_component(rough.cpu().numpy()), voxels.shape)
    crop = interpolate(x[box][None, None], (_LARGE,) * 3, mode="nearest-exact")
    fine = outliner(normalise(crop, ends[0], ends[1]))[:, 1:2]
    inside = interpolate(fine, tuple(x[box].shape), mode="nearest-exact")[0, 0] > 0.5
    mask = np.zeros(voxels.shape, bool)
    mask[box] = ndimage.binary_fill_holes(largest_component(inside.cpu().numpy()))
    return mask


@dataclass
class DeepBet:
    """The loaded model; has the capability `Segments`."""

    card: Card
    finder: LinkNet3d
    outliner: LinkNet3d
    device: str = "cpu"

    def segment(self, study: Study, series: Sequence[Series], *, branch: str = BRANCH) -> Masks:
        """The mask "brain" on the series' own grid.

        Raises:
            Refused: the series is no T1-weighted MR of the brain, or no brain was found.
        """
        spec = self.card.branch(branch).input
        prepared = prepare(series[0], spec, study)
        # Prepared is z, y, x; the network learnt on x, y, z.
        mask = extract(np.ascontiguousarray(prepared.array[0].T), self.finder, self.outliner, self.device)
        native = np.asarray(prepared.to_native(mask.T)) > 0.5
        if not native.any() or not isinstance(series[0].geometry, Geometry):
            raise Refused("no brain was found", "a T1-weighted MR of the head", "an empty mask")
        return Masks(branch, {"brain": Volume(native, series[0].geometry)}, None, prepared.stated)


def load_deepbet(device: str = "cpu") -> DeepBet:
    """Load both networks from the installed package.

    Raises:
        MissingExtra: the package is absent.
    """
    finder, outliner = (network(name, device) for name in sorted(ARCHIVES))
    return DeepBet(card(), finder, outliner, device)
