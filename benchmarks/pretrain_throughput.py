"""A pre-training step of ours beside that of `transformers`, at equal size, on this machine.

    python benchmarks/pretrain_throughput.py [--threads 2] [--rounds 5] [--size small] [--out FILE]

Masked images: `pretrain.autoencoder` beside `ViTMAEForPreTraining`. Image and text: our ViT and text encoder
with the contrastive loss beside `CLIPModel`. Same width, depth, heads, feed-forward, patches, batch and text
length; parameters of both are printed. Random inputs; forward, backward and an AdamW step. The two are run
in turn, ``--rounds`` times, and the ratio is of the medians. Losses: ours on the outputs of theirs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.vit import VitConfig, VitEncoder
from sagittal.layers.features import Tokens
from sagittal.pretrain.autoencoder import Autoencoder, AutoencoderConfig, Guess
from sagittal.pretrain.contrastive import contrastive_loss
from sagittal.training.precision import bf16_pays


@dataclass(frozen=True)
class Size:
    """Of both sides of a comparison."""

    image: int = 224
    patch: int = 16
    channels: int = 1
    width: int = 384
    layers: int = 12
    heads: int = 6
    decoder_width: int = 192
    decoder_layers: int = 4
    decoder_heads: int = 6
    masked_batch: int = 16
    pair_batch: int = 8
    vocabulary: int = 2048
    length: int = 64
    text_layers: int = 6
    embedding: int = 256


SIZES = {
    "small": Size(),
    "tiny": Size(image=112, width=192, layers=6, heads=3, decoder_width=96, decoder_layers=2, text_layers=3),
}


class Pairs(nn.Module):
    """Our contrastive model of that size."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        config = VitConfig(
            patch=(size.patch,) * 2, channels=size.channels, layers=size.layers, heads=size.heads, widths=()
        )
        self.image = VitEncoder(config, size.width)
        text = TextConfig(size.vocabulary, size.length, size.text_layers, size.heads)
        self.text = TextEncoder(text, size.width)
        self.project = nn.Linear(size.width, size.embedding, bias=False)
        self.project_text = nn.Linear(size.width, size.embedding, bias=False)
        self.scale = nn.Parameter(torch.tensor(2.659))

    def forward(self, image: Tensor, ids: Tensor) -> Tensor:
        seen = functional.normalize(self.project(self.image(image).pooled), dim=1)
        mask = torch.ones_like(ids, dtype=torch.bool)
        said = functional.normalize(self.project_text(self.text(Tokens(ids, mask)).pooled), dim=1)
        return contrastive_loss(seen, said, self.scale)


def masked(size: Size) -> tuple[nn.Module, nn.Module, Tensor]:
    """Our masked autoencoder, theirs, and images."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = VitConfig(
        patch=(size.patch,) * 2, channels=size.channels, layers=size.layers, heads=size.heads, widths=()
    )
    decoder = AutoencoderConfig(0.75, size.decoder_width, size.decoder_layers, size.decoder_heads)
    ours = Autoencoder(VitEncoder(config, size.width), size.width, decoder)
    theirs = ViTMAEForPreTraining(
        ViTMAEConfig(
            hidden_size=size.width,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=4 * size.width,
            image_size=size.image,
            patch_size=size.patch,
            num_channels=size.channels,
            decoder_hidden_size=size.decoder_width,
            decoder_num_hidden_layers=size.decoder_layers,
            decoder_num_attention_heads=size.decoder_heads,
            decoder_intermediate_size=4 * size.decoder_width,
            mask_ratio=0.75,
            norm_pix_loss=True,
        )
    )
    return ours, theirs, torch.randn(size.masked_batch, size.channels, size.image, size.image)


def pairs(size: Size) -> tuple[nn.Module, nn.Module, Tensor, Tensor]:
    """Our contrastive model, theirs, images and token ids."""
    from transformers import CLIPConfig, CLIPModel

    tower = {
        "hidden_size": size.width,
        "num_attention_heads": size.heads,
        "intermediate_size": 4 * size.width,
    }
    theirs = CLIPModel(
        CLIPConfig(
            text_config=tower
            | {
                "vocab_size": size.vocabulary,
                "max_position_embeddings": size.length,
                "num_hidden_layers": size.text_layers,
                "intermediate_size": 3 * size.width,
                "eos_token_id": 1,
                "hidden_act": "gelu",
            },
            vision_config=tower
            | {
                "num_hidden_layers": size.layers,
                "image_size": size.image,
                "patch_size": size.patch,
                "num_channels": size.channels,
                "hidden_act": "gelu",
            },
            projection_dim=size.embedding,
        )
    )
    image = torch.randn(size.pair_batch, size.channels, size.image, size.image)
    return Pairs(size), theirs, image, torch.randint(2, size.vocabulary, (size.pair_batch, size.length))


def step(module: nn.Module, loss: Callable[[], Tensor], *, bf16: bool) -> Callable[[], float]:
    """A whole training step."""
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)

    def run() -> float:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()
        optimiser.step()
        return float(value.detach())

    return run


def in_turn(steps: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median processor-and-wall seconds of each step, one after the other in every round."""
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for run in steps.values():
        run()
    for _ in range(rounds):
        for name, run in steps.items():
            began = time.perf_counter()
            run()
            spent[name].append(time.perf_counter() - began)
    return {name: statistics.median(each) for name, each in spent.items()}


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def report(
    name: str, ours: nn.Module, theirs: nn.Module, seconds: dict[str, float], batch: int
) -> dict[str, Any]:
    """What was found, printed."""
    default = "ours, bf16" if bf16_pays(torch.device("cpu")) else "ours"
    found = {
        "parameters": {"ours": parameters(ours), "theirs": parameters(theirs)},
        "seconds": seconds,
        "equal precision": seconds["theirs"] / seconds["ours"],
        "bf16 both": seconds["theirs, bf16"] / seconds["ours, bf16"],
        "default precision": seconds["theirs"] / seconds[default],
        "default": default,
    }
    print(f"\n{name}: {found['parameters']}")
    for who, each in seconds.items():
        print(f"  {who:14} {batch / each:7.2f} a second")
    print(f"  ratio at float32 {found['equal precision']:.2f}, at bf16 {found['bf16 both']:.2f}, ", end="")
    print(f"our default ({default}) beside their float32 {found['default precision']:.2f}")
    return found


def against_mae(size: Size, rounds: int) -> dict[str, Any]:
    """Masked images."""
    ours, theirs, image = masked(size)
    assert isinstance(ours, Autoencoder)
    steps = {}
    for bf16 in (False, True):
        mark = ", bf16" if bf16 else ""
        steps[f"ours{mark}"] = step(ours, lambda: ours.loss(image, ours(image)), bf16=bf16)
        steps[f"theirs{mark}"] = step(theirs, lambda: theirs(image).loss, bf16=bf16)
    found = report("masked images", ours, theirs, in_turn(steps, rounds), size.masked_batch)
    with torch.no_grad():
        out = theirs.eval()(image)
        same = abs(float(ours.loss(image, Guess(out.logits, out.mask.bool()))) - float(out.loss))
    print(f"  loss on the same outputs differs by {same:.1e}")
    return found | {"loss difference": same}


def against_clip(size: Size, rounds: int) -> dict[str, Any]:
    """Image and text."""
    ours, theirs, image, ids = pairs(size)
    said = {"input_ids": ids, "pixel_values": image, "return_loss": True}
    steps = {}
    for bf16 in (False, True):
        mark = ", bf16" if bf16 else ""
        steps[f"ours{mark}"] = step(ours, lambda: ours(image, ids), bf16=bf16)
        steps[f"theirs{mark}"] = step(theirs, lambda: theirs(**said).loss, bf16=bf16)
    found = report("image and text", ours, theirs, in_turn(steps, rounds), size.pair_batch)
    with torch.no_grad():
        out = theirs.eval()(**said)
        mine = contrastive_loss(out.image_embeds, out.text_embeds, theirs.logit_scale)
        same = abs(float(mine) - float(out.loss))
    print(f"  loss on the same embeddings differs by {same:.1e}")
    return found | {"loss difference": same}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    size = SIZES[given.size]
    found = {"masked": against_mae(size, given.rounds), "contrastive": against_clip(size, given.rounds)}
    if given.out:
        given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
