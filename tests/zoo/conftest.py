"""A small model of our own family, as a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sagittal.branch import BranchConfig
from sagittal.encoders.picture import PictureConfig
from sagittal.encoders.volume import VolumeConfig
from sagittal.model import Model, ModelConfig
from sagittal.study.geometry import Geometry, Plane
from sagittal.study.spec import InputSpec
from sagittal.study.study import Patient, Series, Study
from sagittal.study.volume import Volume
from sagittal.zoo.card import BranchCard, Card, LabelCard
from sagittal.zoo.gate import fit_gate
from sagittal.zoo.save import gate_card, save

FILM = InputSpec(("DX",), body_part="CHEST", size=(32, 32), fit="resize", age_years=(18.0, 90.0))
CROP = InputSpec(("MR",), body_part="HIPPOCAMPUS", orientation="SPL", spacing_mm=(1.0, 1.0, 1.0))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two branches with random weights: films (labels, masks, gate) and MR crops (exclusive masks)."""
    torch.manual_seed(0)
    film = BranchConfig(
        PictureConfig(widths=(8, 16), blocks=(1, 1), strides=(2, 2)),
        ("nodule", "mass"),
        ("lung_left", "nodule"),
    )
    crop = BranchConfig(
        VolumeConfig(
            widths=(8, 16),
            blocks=(1, 1),
            kernels=((3, 3, 3),) * 2,
            strides=((2, 2, 2),) * 2,
            detail=(2, 2, 2),
        ),
        (),
        ("front", "back"),
    )
    shape = ModelConfig(branches={"film": film, "crop": crop}, text=None, width=48, embedding=16, heads=2)
    model = Model(shape).eval()
    with torch.no_grad():
        for branch in model.branches.values():
            branch.masks.bias.zero_()
        images = torch.rand(60, 1, 32, 32)
        features = model.encode("film", images).pooled.numpy()
    gate = fit_gate(features[:40], features[40:], quantile=0.95)
    labels = (LabelCard("nodule", 2.0, 0.0, "real film"), LabelCard("mass"))
    card = Card(
        name="toy",
        version="0",
        family="sagittal",
        summary="random weights",
        licence="Apache-2.0",
        digest="",
        branches={
            "film": BranchCard(FILM, labels, ("lung_left", "nodule"), gate_card(gate, 0.95, 40, 20)),
            "crop": BranchCard(
                CROP,
                masks=("front", "back"),
                exclusive_masks=True,
                window=(16, 16, 16),
                max_extent_mm=(60.0, 60.0, 60.0),
            ),
        },
    )
    path = tmp_path_factory.mktemp("models") / "toy"
    save(path, model, card, {"film": gate})
    return path


def series_of(voxels: np.ndarray, geometry: Geometry | Plane, modality: str, body_part: str | None) -> Series:
    volume = Volume(voxels, geometry)
    return Series(
        f"1.2.{voxels.size}",
        modality,
        volume.shape,
        geometry,
        "arbitrary",
        lambda: volume,
        body_part=body_part,
    )


@pytest.fixture
def film() -> Callable[..., Study]:
    def make(
        seed: int = 0, shape: tuple[int, int] = (48, 40), age: float | None = 50.0, **changes: str
    ) -> Study:
        voxels = np.random.default_rng(seed).random(shape).astype(np.float32)
        facts = {"modality": "DX", "body_part": "CHEST", **changes}
        one = series_of(voxels, Plane(patient_orientation=("L", "F")), facts["modality"], facts["body_part"])
        return Study(f"2.25.{seed}", Patient(id="p", age_years=age), (one,))

    return make


@pytest.fixture
def crop() -> Callable[..., Study]:
    def make(shape: tuple[int, int, int] = (18, 22, 20), affine: np.ndarray | None = None) -> Study:
        voxels = np.random.default_rng(1).random(shape).astype(np.float32)
        geometry = Geometry(affine) if affine is not None else Geometry.from_spacing((1, 1, 1))
        return Study("2.25.9", Patient(), (series_of(voxels, geometry, "MR", "HIPPOCAMPUS"),))

    return make
