"""A hippocampus branch for the bundled model, from part of MSD Task04 (CC BY-SA 4.0).

    python recipes/hippocampus.py fit       resumable; a checkpoint branch in runs/hippocampus
    python recipes/hippocampus.py evaluate  Dice on the cases never seen, beside a blind atlas

48 of the 198 cases, fixed by a hash of their names, are never seen in training.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import zoom
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from sagittal.branch import BranchConfig
from sagittal.decoders.window import Window, slide
from sagittal.encoders.volume import VolumeConfig
from sagittal.measure.segmentation import dice
from sagittal.measure.statistics import mean_interval
from sagittal.meter import metered
from sagittal.model import Model, ModelConfig, load, save
from sagittal.report.codec import dumps
from sagittal.study.geometry import Geometry
from sagittal.study.open import open_study
from sagittal.study.prepare import prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Study
from sagittal.training.loop import FitConfig, Progress, fit
from sagittal.training.objective import mask_loss
from sagittal.zoo.card import BranchCard, DataUse, Result
from sagittal.zoo.load import BUNDLED


@dataclass(frozen=True)
class Recipe:
    """Everything that defines the run: about ten minutes on two free cores."""

    data: str = "../shared/data/msd_hippocampus"
    out: str = "runs/hippocampus"
    seed: int = 4
    unseen: int = 48
    window: tuple[int, int, int] = (32, 48, 32)
    batch: int = 4
    steps: int = 1500
    learning_rate: float = 3e-3
    flip: float = 0.5
    zoom: float = 0.12
    turn: float = 0.15
    gamma: float = 0.3
    noise: float = 0.04


BRANCH = "hippocampus"
MASKS = ("hippocampus_anterior", "hippocampus_posterior")
ENCODER = VolumeConfig(
    widths=(32, 64, 96, 128),
    blocks=(1, 1, 1, 1),
    kernels=((3, 3, 3),) * 4,
    strides=((2, 2, 2),) * 4,
    detail=(2, 2, 2),
)
"""A first stage at half resolution with masks drawn twice as fine: three times as fast a step as a first
stage at full resolution."""
SPEC = InputSpec(
    modality=("MR",),
    body_part="HIPPOCAMPUS",
    orientation="SPL",
    spacing_mm=(1.0, 1.0, 1.0),
    normalise="percentile",
    max_slice_mm=2.0,
)
LARGEST_MM = (64.0, 80.0, 64.0)
"""The cases are crops around one hippocampus, at most 47 x 59 x 42 mm: larger fields hold what was
never learnt."""


def names(recipe: Recipe) -> tuple[list[str], list[str]]:
    """(training, unseen) case names; the split depends on the names alone."""
    found = sorted(p.name for p in (Path(recipe.data) / "images").glob("*.nii.gz"))
    order = sorted(found, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return sorted(order[recipe.unseen :]), sorted(order[: recipe.unseen])


def case(recipe: Recipe, name: str) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(image (Z, Y, X), label map) on the prepared grid."""
    stated = {"modality": "MR", "body_part": "HIPPOCAMPUS"}
    study = open_study(Path(recipe.data) / "images" / name, assume=stated)
    truth = open_study(Path(recipe.data) / "labels" / name, assume=stated)
    prepared = prepare(study.series[0], SPEC, study)
    return prepared.array[0], on_grid(truth, prepared.geometry, prepared.array.shape[1:])


def on_grid(labels: Study, geometry: object, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A label map looked up (nearest) at every voxel of another grid."""
    assert isinstance(geometry, Geometry)
    volume = labels.series[0].volume
    assert isinstance(volume.geometry, Geometry)
    points = geometry.to_mm(np.stack(np.indices(shape), -1))
    index = np.rint(volume.geometry.to_index(points)).astype(int)
    inside = ((index >= 0) & (index < volume.shape)).all(-1)
    index = np.where(inside[..., None], index, 0)
    return np.where(inside, np.rint(volume.voxels[tuple(np.moveaxis(index, -1, 0))]), 0).astype(np.uint8)


def jitter(image: Tensor, truth: Tensor, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Move (B, 1, *S) and its one-hot truth (B, 2, *S) together; change intensities of the image alone.

    A mirror image turns a left hippocampus into a right one, which the labels do not tell apart.
    """
    n = len(image)

    def uniform(*shape: int) -> Tensor:
        return 2 * torch.rand(n, *shape, generator=generator) - 1

    angle = recipe.turn * uniform(3)
    zero, one = torch.zeros(n), torch.ones(n)
    (cx, cy, cz), (sx, sy, sz) = angle.cos().T, angle.sin().T
    about_x = torch.stack([one, zero, zero, zero, cx, -sx, zero, sx, cx], 1).view(n, 3, 3)
    about_y = torch.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], 1).view(n, 3, 3)
    about_z = torch.stack([cz, -sz, zero, sz, cz, zero, zero, zero, one], 1).view(n, 3, 3)
    size = torch.exp(recipe.zoom * uniform(3))
    size[:, 0] *= torch.where(torch.rand(n, generator=generator) < recipe.flip, -1.0, 1.0)
    # grid_sample works in a cube of -1..1: turning there must know the real proportions.
    reach = torch.tensor(image.shape[:1:-1], dtype=torch.float32)
    theta = about_x @ about_y @ about_z * size[:, None, :]
    theta = theta * (reach[None, None, :] / reach[None, :, None])
    theta = torch.cat([theta, torch.zeros(n, 3, 1)], 2)
    grid = affine_grid(theta, list(image.shape), align_corners=False)
    image = grid_sample(image, grid, padding_mode="border", align_corners=False)
    truth = grid_sample(truth, grid, align_corners=False)
    image = image.clamp(0, 1) ** torch.exp(recipe.gamma * uniform(1, 1, 1, 1))
    image = image * (1 + 0.15 * uniform(1, 1, 1, 1)) + 0.05 * uniform(1, 1, 1, 1)
    return image + recipe.noise * torch.rand(n, 1, 1, 1, 1, generator=generator) * torch.randn(
        image.shape, generator=generator
    ), truth


def window(
    image: NDArray[np.float32], truth: NDArray[np.uint8], size: tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A random window; a case smaller than it is padded with its own edge, as the sliding windows are."""
    pads = [max(0, n - m) for n, m in zip(size, image.shape, strict=True)]
    wide = [(p // 2, p - p // 2) for p in pads]
    image, truth = np.pad(image, wide, mode="edge"), np.pad(truth, wide)
    corner = [rng.integers(0, n - m + 1) for n, m in zip(image.shape, size, strict=True)]
    place = tuple(slice(c, c + m) for c, m in zip(corner, size, strict=True))
    return image[place], truth[place]


def build(recipe: Recipe) -> Model:
    """The model with this branch alone; widths as the bundled model's, so that the branch fits into it."""
    torch.manual_seed(recipe.seed)
    return Model(ModelConfig(branches={BRANCH: BranchConfig(ENCODER, (), MASKS)}, text=None))


def train(recipe: Recipe) -> None:
    """Fit the branch; continues where an interrupted run stopped."""
    cases = [case(recipe, name) for name in names(recipe)[0]]
    model, out = build(recipe), Path(recipe.out)
    out.mkdir(parents=True, exist_ok=True)

    def batches(start: int) -> Iterator[tuple[Tensor, Tensor]]:
        step = start
        while True:
            rng = np.random.default_rng([recipe.seed, step])
            drawn = [
                window(*cases[i], recipe.window, rng)
                for i in rng.choice(len(cases), recipe.batch, replace=False)
            ]
            image = torch.from_numpy(np.stack([d[0] for d in drawn])[:, None])
            truth = torch.from_numpy(np.stack([[d[1] == k for k in (1, 2)] for d in drawn])).float()
            yield jitter(image, truth, recipe, torch.Generator().manual_seed(recipe.seed * 10**6 + step))
            step += 1

    def objective(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        logits = model(BRANCH, batch[0]).mask_logits
        assert logits is not None
        return {"mask": mask_loss(logits, batch[1])}

    def report(progress: Progress) -> None:
        line = json.dumps(asdict(progress))
        with (out / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    plan = FitConfig(
        steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
        report_steps=50,
        average=0.995,
    )
    with metered() as meter:
        fit(model, objective, batches, plan, folder=out / "run", report=report)
    save(model, out)
    (out / "usage.json").write_text(dumps(meter.usage))


def predict(model: Model, image: NDArray[np.float32], recipe: Recipe) -> NDArray[np.uint8]:
    """The label map 0 / 1 / 2 of one prepared image, by sliding windows."""

    def logits(windows: Tensor) -> Tensor:
        found = model(BRANCH, windows).mask_logits
        assert found is not None
        return found

    found = slide(logits, torch.from_numpy(image)[None], Window(recipe.window))
    best = found.max(0)
    return torch.where(best.values > 0, best.indices + 1, 0).numpy().astype(np.uint8)


def atlas(truths: list[NDArray[np.uint8]], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The most frequent label of all training cases stretched to one shape: it never sees the image."""
    votes = np.zeros((3, *shape), np.float32)
    for truth in truths:
        factors = [n / m for n, m in zip(shape, truth.shape, strict=True)]
        for label in (1, 2):
            votes[label] += zoom((truth == label).astype(np.float32), factors, order=1)[
                tuple(slice(n) for n in shape)
            ]
    votes /= len(truths)
    votes[0] = 1 - votes[1] - votes[2]
    return votes.argmax(0).astype(np.uint8)


@torch.inference_mode()
def evaluate(recipe: Recipe) -> None:
    """Print and save Dice on the unseen cases."""
    out, (seen, unseen) = Path(recipe.out), names(recipe)
    # In a fresh clone there is no fit: then the branch of the bundled model is measured again.
    model = load(out if (out / "config.json").exists() else BUNDLED / "sagittal-small")
    out.mkdir(parents=True, exist_ok=True)
    truths = [case(recipe, name)[1] for name in seen]
    rows: dict[str, list[float]] = {}
    for name in unseen:
        image, truth = case(recipe, name)
        for kind, drawn in (
            ("network", predict(model, image, recipe)),
            ("atlas", atlas(truths, truth.shape)),
        ):
            both = [dice(drawn == label, truth == label) for label in (1, 2)]
            for of, value in zip((*MASKS, "mean"), (*both, float(np.mean(both))), strict=True):
                rows.setdefault(f"{kind} {of}", []).append(value)
    found = []
    for of in (*MASKS, "mean"):
        interval = mean_interval(rows[f"network {of}"])
        blind = float(np.mean(rows[f"atlas {of}"]))
        data = f"{len(unseen)} unseen cases of MSD Task04"
        found.append(
            Result("dice", of, interval, data, f"real {BRANCH}", blind, "average of the training masks")
        )
        print(f"{of}: Dice {interval}, blind atlas {blind:.3f}, worst case {min(rows[f'network {of}']):.3f}")
    note = "Medical Segmentation Decathlon; changed: mirrored, turned, scaled, intensities varied"
    use = DataUse("MSD Task04 Hippocampus", "CC BY-SA 4.0", len(seen), note)
    branch = BranchCard(
        SPEC, masks=MASKS, exclusive_masks=True, window=recipe.window, max_extent_mm=LARGEST_MM
    )
    # The form in which `recipes/small.py pack` takes a branch into the bundled model.
    evaluation = {"branch": branch, "data": [use], "results": found}
    (out / "evaluation.json").write_text(dumps(evaluation))


if __name__ == "__main__":
    {"fit": train, "evaluate": evaluate}[sys.argv[1]](Recipe())
