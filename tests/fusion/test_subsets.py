"""Every fusion takes any subset: missing is the same as masked, to the bit, and nothing hidden leaks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from sagittal.fusion.early import EarlyFusion
from sagittal.fusion.intermediate import MutualFusion
from sagittal.fusion.late import LateFusion
from sagittal.fusion.modalities import Modalities
from sagittal.fusion.resampler import Resampler
from sagittal.layers.features import Features

NAMES = ("image", "labs", "notes")
LENGTHS = {"image": 9, "labs": 4, "notes": 6}
SUBSETS = [subset for k in range(len(NAMES) + 1) for subset in combinations(NAMES, k)]


def features(name: str, mask: Tensor | None = None, rows: int = 3) -> Features:
    tokens = torch.randn(rows, LENGTHS[name], 16)
    return Features((torch.randn(rows, 8, 3, 3),), tokens, tokens.mean(1), mask)


def masked(given: Features, rows: list[bool], fill: float = 0.0) -> Features:
    """The same with the mask of some rows False and anything behind it."""
    there = torch.tensor(rows)
    mask = there[:, None].expand(given.tokens.shape[:2]).clone()
    if given.mask is not None:
        mask &= given.mask
    tokens = torch.where(there[:, None, None], given.tokens, torch.tensor(fill))
    pooled = torch.where(there[:, None], given.pooled, torch.tensor(fill))
    return Features(given.pyramid, tokens, pooled, mask)


def early() -> nn.Module:
    return EarlyFusion(16, 2, NAMES)


def resampler() -> nn.Module:
    return Resampler(16, 2, NAMES, count=5)


def late() -> nn.Module:
    fusion = LateFusion(16, NAMES, 4)
    for parameter in fusion.combine.parameters():
        nn.init.normal_(parameter)
    return fusion


def mutual() -> nn.Module:
    fusion = MutualFusion(16, 2, NAMES, layers=2)
    for name, parameter in fusion.named_parameters():
        if name.endswith("gates"):
            nn.init.constant_(parameter, 0.7)
    return fusion


KINDS: dict[str, Callable[[], nn.Module]] = {
    "early": early, "resampler": resampler, "late": late, "mutual": mutual,
}  # fmt: skip


@pytest.fixture(params=KINDS)
def fuse(request: pytest.FixtureRequest) -> Callable[[Modalities], dict[str, Tensor]]:
    torch.manual_seed(0)
    module = KINDS[request.param]()

    def run(modalities: Modalities) -> dict[str, Tensor]:
        out = module(modalities)
        if isinstance(out, Tensor):
            return {"logits": out}
        if isinstance(out, Features):
            return {"tokens": out.tokens, "pooled": out.pooled}
        return {
            f"{n} {k}": v for n, f in out.items() for k, v in (("tokens", f.tokens), ("pooled", f.pooled))
        }

    return run


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_missing_is_masked_to_the_bit(
    fuse: Callable[[Modalities], dict[str, Tensor]], subset: tuple[str, ...]
) -> None:
    torch.manual_seed(1)
    there = {name: features(name) for name in subset}
    none: dict[str, Features | None] = {n: there.get(n) for n in NAMES}
    hidden = {n: there.get(n) or masked(features(n), [False] * 3, float("nan")) for n in NAMES}
    found = fuse(there)
    assert same(found, fuse(none))
    assert same(found, fuse(hidden))
    assert all(torch.isfinite(value).all() for value in found.values())


def test_what_a_mask_hides_in_single_rows_does_not_matter(
    fuse: Callable[[Modalities], dict[str, Tensor]],
) -> None:
    torch.manual_seed(1)
    given = {name: features(name) for name in NAMES}
    rows = [True, False, True]
    clean = fuse({**given, "labs": masked(given["labs"], rows)})
    dirty = fuse({**given, "labs": masked(given["labs"], rows, float("nan"))})
    assert same(clean, dirty)
    whole, without = fuse(given), fuse({**given, "labs": None})
    for key, value in clean.items():
        if key.startswith("labs") or key == "tokens":
            continue
        assert torch.allclose(value[0], whole[key][0], atol=1e-5)
        assert torch.allclose(value[1], without[key][1], atol=1e-5)
        assert not torch.allclose(whole[key][1], without[key][1], atol=1e-3)


def test_the_order_of_names_does_not_matter(fuse: Callable[[Modalities], dict[str, Tensor]]) -> None:
    torch.manual_seed(1)
    given = {name: features(name) for name in NAMES}
    assert same(fuse(given), fuse(dict(reversed(given.items()))))


def test_misuse_is_named(fuse: Callable[[Modalities], dict[str, Tensor]]) -> None:
    with pytest.raises(ValueError, match=r"got \['genome'\]"):
        fuse({"genome": None})
    with pytest.raises(ValueError, match="same number of rows"):
        fuse({"labs": features("labs"), "notes": features("notes", rows=2)})


def test_shapes() -> None:
    given = {name: features(name) for name in NAMES}
    fused = EarlyFusion(16, 2, NAMES)(given)
    assert fused.tokens.shape == (3, 1 + 9 + 4 + 6, 16)
    assert fused.pooled.shape == (3, 16)
    assert EarlyFusion(16, 2, NAMES)({}, rows=5).pooled.shape == (5, 16)
    for subset in SUBSETS:
        small = Resampler(16, 2, NAMES, count=5)({n: given[n] for n in subset}, rows=3)
        assert small.tokens.shape == (3, 5, 16)
    assert LateFusion(16, NAMES, 4)({}, rows=2).shape == (2, 4)
    both = MutualFusion(16, 2, NAMES)(given)
    assert {n: f.tokens.shape[1] for n, f in both.items()} == LENGTHS
    assert MutualFusion(16, 2, NAMES)({}) == {}


def test_both_directions_are_heard() -> None:
    torch.manual_seed(0)
    fusion = mutual()
    given = {name: features(name) for name in NAMES}
    before = fusion(given)
    for name in NAMES:
        moved = fusion({**given, name: features(name)})
        for other in set(NAMES) - {name}:
            assert not torch.allclose(moved[other].tokens, before[other].tokens, atol=1e-4), (name, other)
    assert torch.equal(before["labs"].pooled, before["labs"].tokens.mean(1))
