"""DeepBet: the published tensors in our network, and the published volumes on a real study."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from sagittal.errors import BadInput, Refused
from sagittal.measure.segmentation import volume_ml
from sagittal.study.open import open_study
from sagittal.zoo import deepbet
from sagittal.zoo.capability import Segments
from sagittal.zoo.linknet import LinkNet3d
from sagittal.zoo.load import load

try:
    metadata.distribution("deepbet")
    INSTALLED = True
except metadata.PackageNotFoundError:
    INSTALLED = False
needs_package = pytest.mark.skipif(
    not INSTALLED, reason="deepbet is not installed (pip install --no-deps deepbet)"
)


def test_the_network_keeps_size_and_gives_probabilities() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        out = LinkNet3d().eval()(torch.randn(1, 1, 32, 64, 32))
    assert out.shape == (1, 2, 32, 64, 32)
    torch.testing.assert_close(out.sum(1), torch.ones(1, 32, 64, 32))


def test_the_box_is_the_published_arithmetic() -> None:
    mask = np.zeros((128, 128, 128), bool)
    mask[32:96, 40:80, 20:60] = True
    box = deepbet.box_with_margin(mask, (256, 128, 22))
    # centre 128, size 128 -> 1.2 x 128 = 154 around it; z is clipped to the grid
    assert box[0] == slice(51, 205, 1)
    assert box[1] == slice(36, 84, 1)
    assert box[2] == slice(3, 11, 1)


def test_nothing_in_the_field_is_refused_not_invented() -> None:
    with pytest.raises(Refused, match="no brain"):
        deepbet.box_with_margin(np.zeros((8, 8, 8), bool), (8, 8, 8))


@needs_package
def test_the_published_tensors_fit_exactly_and_a_changed_file_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = deepbet.network("data/models/model.pt")
    assert len(net.state_dict()) == 38
    monkeypatch.setitem(deepbet.ARCHIVES, "data/models/model.pt", "0" * 64)
    with pytest.raises(BadInput, match="not the published file"):
        deepbet.network("data/models/model.pt")


@needs_package
@pytest.mark.slow
@pytest.mark.parametrize(("series", "published"), [("T1post", 1632.0), ("T1pre", 1678.0)])
def test_the_published_brain_volumes(shared_data: Path, series: str, published: float) -> None:
    """1632 / 1678 mL on one tumour study with 6.5 mm slices."""
    study = open_study(shared_data / "brain_tumor_mr_dicom" / "Study3")
    one = next(s for s in study.series if series in s.description)
    model = load("deepbet")
    assert isinstance(model, Segments)
    mask = model.segment(study, (one,), branch=deepbet.BRANCH).masks["brain"]
    assert mask.voxels.shape == one.shape
    assert volume_ml(mask.voxels, one.geometry.spacing_mm) == pytest.approx(published, rel=0.01)
    assert ndimage.label(mask.voxels, np.ones((3, 3, 3)))[1] == 1
