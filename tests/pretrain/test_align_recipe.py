"""`recipes/align.py`: embeddings that know the masks, and proportions read off them, on planted evidence."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sagittal.branch import BranchConfig
from sagittal.decoders.label import mask_evidence
from sagittal.encoders.picture import PictureConfig
from sagittal.measure.discrimination import auroc
from sagittal.model import Model, ModelConfig

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "recipes"))
recipe: Any = importlib.import_module("align")
LABELS = ("mass", "cardiomegaly")
ENCODER = PictureConfig(widths=(8, 16), blocks=(1, 1), strides=(2, 2), heads=2)


def model() -> Model:
    torch.manual_seed(0)
    branch = BranchConfig(ENCODER, LABELS, ("heart", "mass"))
    return Model(ModelConfig({"film": branch}, width=16, embedding=8, heads=2)).eval()


def images(n: int) -> Tensor:
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(1))


def seen(n: int, size: int, variants: int = 1) -> Any:
    """Tokens that tell nothing; evidence and logits at random; ``variants`` of each image."""
    random = torch.Generator().manual_seed(2)
    rows = torch.arange(n).repeat(variants)
    evidence = torch.randn(n, size, generator=random).repeat(variants, 1)
    evidence = evidence + 0.01 * torch.randn(evidence.shape, generator=random)
    return recipe.Known(torch.zeros(len(rows), 4, 16), evidence, torch.zeros(len(rows), 2), rows)


def test_a_widened_model_says_what_it_said() -> None:
    plain = model()
    wide = recipe.widened(plain)
    with torch.no_grad():
        before, after = (each("film", images(3)) for each in (plain, wide))
    assert wide.config.embed_masks and not plain.config.embed_masks
    torch.testing.assert_close(after.embedding, before.embedding)
    assert torch.equal(after.label_logits, before.label_logits)
    assert torch.equal(after.mask_logits, before.mask_logits)


def test_what_is_kept_of_an_image_gives_what_the_model_gives() -> None:
    """Tokens and evidence, computed once, in place of the image."""
    wide = recipe.widened(model())
    with torch.no_grad():
        # else the new columns are nothing
        wide.branch("film").project.weight.normal_(generator=torch.Generator().manual_seed(3))
    batches = [(images(5)[i : i + 2], torch.arange(i, min(i + 2, 5)) + 10) for i in (0, 2, 4)]
    kept = recipe.known(wide, "film", batches)
    assert kept.rows.tolist() == [10, 11, 12, 13, 14]
    with torch.no_grad():
        whole = wide("film", images(5), upsample=False)
        again = recipe.embedded(wide.branch("film"), kept, torch.tensor([4, 0]))
    loose = {"rtol": 0.05, "atol": 0.05}  # where the processor gains by bfloat16 it is used
    torch.testing.assert_close(again, whole.embedding[[4, 0]], **loose)
    torch.testing.assert_close(kept.logits, whole.label_logits, **loose)
    torch.testing.assert_close(kept.evidence, mask_evidence(whole.mask_logits).flatten(1), **loose)


def test_an_embedding_learns_what_the_masks_show_and_nothing_else_changes() -> None:
    wide = recipe.widened(model())
    branch = wide.branch("film")
    kept = seen(200, branch.shown)
    wanted = (kept.evidence[:, 3] > 0).float()
    axis = functional.normalize(torch.randn(8, generator=torch.Generator().manual_seed(4)), dim=0)
    state = {name: value.clone() for name, value in wide.state_dict().items()}

    def loss(embedding: Tensor, rows: Tensor, generator: torch.Generator) -> Tensor:
        return functional.binary_cross_entropy_with_logits(10 * embedding @ axis, wanted[rows])

    def area() -> float:
        with torch.no_grad():
            embedding = recipe.embedded(branch, kept, kept.rows)
        return auroc(wanted.numpy(), (embedding @ axis).numpy())

    assert area() < 0.6  # the columns of the evidence begin at nothing
    recipe.align(wide, "film", kept, loss, steps=150, rate=5e-3)
    assert area() > 0.95
    changed = {name for name, value in wide.state_dict().items() if not torch.equal(value, state[name])}
    assert changed and all(".pool." in name or ".project." in name for name in changed)
    assert not any(".labels." in name for name in changed)


def test_a_proportion_is_read_off_the_evidence_where_that_is_better() -> None:
    wide = recipe.widened(model())
    decoder = wide.branch("film").labels
    kept = seen(120, wide.branch("film").shown)
    # both labels are in the evidence; the decoder tells the first perfectly and knows nothing of the second
    truth = np.stack([kept.evidence[:, 0] > 0, kept.evidence[:, 1] - kept.evidence[:, 2] > 0], 1).astype(
        np.uint8
    )
    kept.logits[:, 0] = torch.from_numpy(truth[:, 0]).float()
    kept.logits[:, 1] = torch.randn(120, generator=torch.Generator().manual_seed(5))
    before = decoder.evidence.weight.detach().clone(), decoder.weight.detach().clone()
    assert recipe.proportions(wide, "film", kept, LABELS, LABELS, truth) == ["cardiomegaly"]
    assert torch.equal(decoder.evidence.weight[0], before[0][0])
    assert torch.equal(decoder.weight[0], before[1][0])
    assert torch.equal(decoder.weight[1], torch.zeros(16))
    # what the decoder now says is the evidence's answer
    with torch.no_grad():
        said = decoder.evidence(kept.evidence) + decoder.bias
    assert auroc(truth[:, 1], said[:, 1].numpy()) > 0.95


def test_variants_of_one_image_are_never_on_both_sides_of_a_fold() -> None:
    """Labels by chance, and evidence by which every image is known again: nothing is learnt of others."""
    wide = recipe.widened(model())
    kept = seen(31, wide.branch("film").shown, variants=6)
    truth = np.random.default_rng(6).integers(0, 2, (31, 2)).astype(np.uint8)
    kept.logits[:] = 0.6 * torch.from_numpy(truth[kept.rows.numpy()].astype(np.float32))
    kept.logits[:] += 0.7 * torch.randn(kept.logits.shape, generator=torch.Generator().manual_seed(7))
    decoder = auroc(truth[kept.rows.numpy(), 0], kept.logits[:, 0].numpy())
    assert 0.6 < decoder < 0.9
    assert recipe.proportions(wide, "film", kept, LABELS, LABELS, truth) == []
    # the same, had they been on both sides: 36 numbers know 31 images by heart
    alone = recipe.Known(kept.tokens, kept.evidence, kept.logits, torch.arange(186))
    leaky = np.repeat(truth[None], 6, 0).reshape(186, 2)
    assert recipe.proportions(wide, "film", alone, LABELS, LABELS, leaky) == list(LABELS)
