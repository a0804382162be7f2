"""The whole model on one screen: encoders, fusion, decoders; one branch a kind of image.

model = Model(ModelConfig(branches={"chest-xray": BranchConfig(PictureConfig(), labels=("nodule",), ...)}))
output = model("chest-xray", image, text)     # image (B, C, *S), text Tokens | None
output.label_logits                           # (B, L)
output.mask_logits                            # (B, M, *S)
output.embedding @ model.encode_text(text).T  # cosine similarity: zero-shot by prompts
model.language(text, output.features)         # (B, T, V): the next token; decoders/search.py writes
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.decoders.label import LabelDecoder
from sagittal.decoders.language import LanguageConfig, LanguageDecoder
from sagittal.decoders.mask import MaskDecoder
from sagittal.encoders.image import ImageConfig, build, plan
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import Tokenizer, read_tokenizer
from sagittal.errors import BadInput
from sagittal.fusion.intermediate import IntermediateFusion
from sagittal.layers.attention import AttentionPool
from sagittal.layers.config import from_json, to_json
from sagittal.layers.convolution import enlarge
from sagittal.layers.features import Extent, Features, Tokens
from sagittal.layers.weights import load_shards, save_shards, write_atomic

MAX_CONFIG_BYTES = 1_000_000


@dataclass(frozen=True)
class BranchConfig:
    """One kind of image: its encoder, the names of its labels and of its masks (either may be empty)."""

    encoder: ImageConfig
    labels: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelConfig:
    """``width`` of every token, ``embedding`` of the space that images and texts share."""

    branches: dict[str, BranchConfig] = field(default_factory=dict)
    text: TextConfig | None = None
    width: int = 192
    embedding: int = 128
    heads: int = 6
    language: LanguageConfig | None = None


@dataclass(frozen=True)
class Output:
    """label_logits (B, L), mask_logits (B, M, *S), embedding (B, E) of length 1, features before fusion."""

    label_logits: Tensor | None
    mask_logits: Tensor | None
    embedding: Tensor
    features: Features


class Branch(nn.Module):
    """The parts that belong to one kind of image."""

    def __init__(self, config: BranchConfig, model: ModelConfig) -> None:
        super().__init__()
        out, width = plan(config.encoder), model.width
        self.encoder = build(config.encoder, width)
        self.axes, self.channels = out.axes, out.channels
        self.pool = AttentionPool(width, 1, model.heads)
        self.project = nn.Linear(2 * width, model.embedding)
        labels, masks = config.labels, config.masks
        self.masks = (
            MaskDecoder(width, out.widths, out.kernels, len(masks), out.detail, out.finest) if masks else None
        )
        self.labels = LabelDecoder(width, model.heads, labels, masks, self.axes) if labels else None

    def embed(self, features: Features) -> Tensor:
        """Image tokens -> (B, E) of length 1: what one query finds, beside the mean."""
        found = self.pool(features.tokens, features.mask)[:, 0]
        return functional.normalize(self.project(torch.cat([found, features.pooled], dim=1)), dim=1)


class Model(nn.Module):
    """Branches of image encoder and decoders around one text encoder and one fusion."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config, self.tokenizer, self.digest = config, tokenizer, ""
        self.branches = nn.ModuleDict({k: Branch(v, config) for k, v in config.branches.items()})
        self.text = TextEncoder(config.text, config.width) if config.text else None
        self.project_text = nn.Linear(config.width, config.embedding) if config.text else None
        self.fusion = IntermediateFusion(config.width, config.heads, ("text",) if config.text else ())
        self.language = LanguageDecoder(config.language, config.width) if config.language else None
        self.scale = nn.Parameter(torch.tensor(2.659))  # log(1 / 0.07), Radford 2021

    def forward(
        self, branch: str, image: Tensor, text: Tokens | None = None, *, present: Tensor | None = None,
        extent: Extent | None = None, upsample: bool = True,
    ) -> Output:  # fmt: skip
        """image (B, C, *S); present (B, C) bool, False where a channel was not acquired.

        ``extent``: spacing in mm and real size, for the encoders that count in mm (vit, slices).
        ``upsample=False`` leaves mask logits at the resolution of the finest map (cheaper to train on).
        """
        part = self._branch(branch)
        features = self.encode(branch, image, present=present, extent=extent)
        tokens = self.fusion(features.tokens, {"text": self._text()(text)} if text is not None else {})
        masks = part.masks(features.pyramid, tokens) if part.masks is not None else None
        labels = part.labels(tokens, masks, features.mask) if part.labels is not None else None
        if masks is not None and upsample:
            masks = enlarge(masks, image.shape[2:])
        return Output(labels, masks, part.embed(features), features)

    def encode(
        self, branch: str, image: Tensor, *, present: Tensor | None = None, extent: Extent | None = None
    ) -> Features:
        """The branch's image encoder alone: image (B, C, *S) -> Features."""
        part = self._branch(branch)
        if image.ndim != part.axes + 2 or image.shape[1] != part.channels:
            wanted = f"(B, {part.channels}, {', '.join('ZYX'[3 - part.axes :])})"
            raise BadInput(f"image for {branch} has shape {tuple(image.shape)}", wanted)
        kind = torch.channels_last if part.axes == 2 else torch.channels_last_3d
        return part.encoder(image.contiguous(memory_format=kind), present, extent)

    def embed(
        self, branch: str, image: Tensor, *, present: Tensor | None = None, extent: Extent | None = None
    ) -> Tensor:
        """image (B, C, *S) -> (B, E) of length 1, without running the decoders."""
        return self._branch(branch).embed(self.encode(branch, image, present=present, extent=extent))

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask (B, T) -> (B, E) of length 1."""
        pooled = self._text()(Tokens(ids, mask)).pooled
        assert self.project_text is not None
        return functional.normalize(self.project_text(pooled), dim=1)

    def _text(self) -> TextEncoder:
        if self.text is None:
            raise BadInput("this model has no text encoder", fix="choose a model with one")
        return self.text

    def _branch(self, name: str) -> Branch:
        if name not in self.branches:
            raise BadInput(f"the model has no branch {name[:80]!r}", f"one of {', '.join(self.branches)}")
        branch = self.branches[name]
        assert isinstance(branch, Branch)
        return branch


def save(model: Model, folder: Path) -> str:
    """Write bf16 shards, tokenizer.json and, last, config.json; returns the digest."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = save_shards(folder, model.state_dict())
    tokenizer = model.tokenizer.dumps() if model.tokenizer else None
    if tokenizer is not None:
        write_atomic(folder / "tokenizer.json", tokenizer.encode())
    described = to_json(model.config)
    config = {"model": described, "shards": shards, "tokenizer": tokenizer is not None}
    write_atomic(folder / "config.json", (json.dumps(config, indent=1) + "\n").encode())
    return digest(described, shards, tokenizer or "")


def digest(config: Mapping[str, object], shards: Mapping[str, str], tokenizer: str) -> str:
    """sha256 over architecture, weights and tokenizer: the same for the same model, wherever it lies."""
    text = json.dumps([config, shards, tokenizer], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load(folder: Path) -> Model:
    """Read what ``save`` wrote: float32, in evaluation mode, with ``model.digest`` set.

    Raises:
        BadInput: a file is missing, changed, or does not fit the configuration.
    """
    path = folder / "config.json"
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise BadInput(f"config.json of {folder.name} is too large")
        config = json.loads(path.read_text(encoding="utf-8"))
        shards = {str(name): str(digest) for name, digest in config["shards"].items()}
        described = from_json(ModelConfig, config["model"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"config.json of {folder.name} cannot be read: {error}", "a saved model") from error
    tokenizer = read_tokenizer(folder / "tokenizer.json") if config.get("tokenizer") else None
    try:
        with torch.device("meta"):  # no memory and no random numbers for weights about to be replaced
            model = Model(described, tokenizer)
        model.load_state_dict(load_shards(folder, shards), strict=True, assign=True)
    except (RuntimeError, ValueError, LookupError, ArithmeticError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"weights of {folder.name} do not fit its config.json: {reason}") from error
    # Of the configuration as it was written: a field that came later does not make it another model.
    model.digest = digest(config["model"], shards, tokenizer.dumps() if tokenizer else "")
    return model.eval()
