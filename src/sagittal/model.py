"""The whole model: encoders, fusion, decoders, and what joins them; one branch a kind of image.

model = Model(ModelConfig(branches={"chest-xray": BranchConfig(PictureConfig(), labels=("nodule",), ...)}))
output = model("chest-xray", image, text)     # image (B, C, *S), text Tokens | None, tables {"labs": Rows}
output.label_logits                           # (B, L)
output.mask_logits                            # (B, M, *S); output.grade_logits, output.risk
model.branch("chest-xray").prompt(output.features, prompts, size)          # masks by points, boxes, texts
sample(model.branch("chest-xray").draw, (B, C, *S), model.text(text))      # decoders/image.py: an image
model.asked(output.embedding, model.axes([("A nodule.", "No nodule.")]))   # (B, 1) zero-shot by prompts
model.language(text, output.features)         # (B, T, V): the next token; decoders/search.py writes
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from sagittal.branch import Branch, BranchConfig
from sagittal.decoders.label import mask_evidence
from sagittal.decoders.language import LanguageConfig, LanguageDecoder
from sagittal.encoders.table import Rows, TableConfig, TableEncoder
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import Tokenizer, read_tokenizer
from sagittal.errors import BadInput
from sagittal.fusion.dropout import drop_modalities
from sagittal.fusion.early import EarlyFusion
from sagittal.fusion.intermediate import IntermediateFusion, MutualFusion
from sagittal.fusion.modalities import rows_present
from sagittal.fusion.resampler import Resampler
from sagittal.fusion.timeline import Timeline
from sagittal.layers.config import from_json, to_json
from sagittal.layers.convolution import enlarge
from sagittal.layers.features import Extent, Features, Tokens
from sagittal.layers.weights import load_shards, save_shards, write_atomic

Fusion = Literal["early", "intermediate", "mutual", "late"]
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
MAX_CONFIG_BYTES = 1_000_000
MAX_SCALE = 4.6052  # log 100, Radford 2021


@dataclass(frozen=True)
class ModelConfig:
    """``width`` of every token, ``embedding`` of the space that images and texts share.

    ``embed_masks``: an embedding knows what the masks show, too: a small lesion is lost in a mean of tokens.

    ``tables`` by name (labs, vitals, codes) join image and text by ``fusion``: "early", one trunk over all
    tokens; "intermediate", the image looks at the others; "mutual", all look at all, ``layers`` times;
    "late", each says labels, grades and risks alone, combined (a mask is the image's: labs know no place).

    ``latents``: the others are first gathered in so many tokens (Perceiver-style); 0: they stay as they are.
    ``drop``: share of the rows from which each of the others, and the earlier images, are hidden in training:
    any subset is then known.
    ``priors``: an image looks at the same patient's earlier ones (`Earlier`).
    """

    branches: dict[str, BranchConfig] = field(default_factory=dict)
    text: TextConfig | None = None
    width: int = 192
    embedding: int = 128
    heads: int = 6
    language: LanguageConfig | None = None
    embed_masks: bool = False
    tables: dict[str, TableConfig] = field(default_factory=dict)
    fusion: Fusion = "intermediate"
    layers: int = 1
    latents: int = 0
    drop: float = 0.0
    priors: bool = False

    def __post_init__(self) -> None:
        if self.latents and (self.fusion == "late" or not self.others):
            raise ValueError("latents gather what stands beside an image, and late fusion keeps it apart")
        if self.fusion not in FUSIONS:
            raise ValueError(f"fusion is {self.fusion!r}, must be one of {', '.join(FUSIONS)}")
        if self.latents < 0 or self.layers < 1 or not 0 <= self.drop <= 1:
            raise ValueError("latents must be 0 or more, layers 1 or more, drop 0 to 1")

    @property
    def others(self) -> tuple[str, ...]:
        """What may come beside an image."""
        return (*(("text",) if self.text else ()), *self.tables)


class Earlier(NamedTuple):
    """T earlier images of the same patients: ``images`` (B, T, C, *S) in any order, made as the current one.

    ``days`` (B, T) before it; NaN where a row has no such image (whatever stands there is not looked at).
    ``present`` (B, T, C) and ``extent``, (B, T, axes) each, as for the current image, and of their own.
    """

    images: Tensor
    days: Tensor
    present: Tensor | None = None
    extent: Extent | None = None


@dataclass(frozen=True)
class Output:
    """label_logits (B, L), mask_logits (B, M, *S), embedding (B, E) of length 1, features before fusion.

    None is what the branch does not decode, or what was not asked for.

    grade_logits (B, G, levels - 1): of being above each level. risk (B, R), or (B, R, T) with edges.
    """

    label_logits: Tensor | None
    mask_logits: Tensor | None
    embedding: Tensor | None
    features: Features
    grade_logits: Tensor | None = None
    risk: Tensor | None = None


class Model(nn.Module):
    """Branches of image encoder and decoders around one text encoder and one fusion."""

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config, self.tokenizer, self.digest = config, tokenizer, ""
        shared = {"width": config.width, "heads": config.heads, "embedding": config.embedding}
        late = config.others if config.fusion == "late" else ()
        self.branches = nn.ModuleDict(
            {
                name: Branch(each, **shared, embed_masks=config.embed_masks, priors=config.priors, late=late)
                for name, each in config.branches.items()
            }
        )
        self.text = TextEncoder(config.text, config.width) if config.text else None
        self.project_text = nn.Linear(config.width, config.embedding) if config.text else None
        self.tables = nn.ModuleDict({k: TableEncoder(v, config.width) for k, v in config.tables.items()})
        width, heads = config.width, config.heads
        self.resampler = Resampler(width, heads, config.others, config.latents) if config.latents else None
        names = ("others",) if config.latents else config.others
        self.fusion: IntermediateFusion | EarlyFusion | MutualFusion = IntermediateFusion(
            width, heads, names if config.fusion == "intermediate" else ()
        )
        if config.fusion == "early":
            self.fusion = EarlyFusion(width, heads, ("image", *names))
        elif config.fusion == "mutual":
            self.fusion = MutualFusion(width, heads, ("image", *names), config.layers)
        self.timeline = Timeline(width, heads) if config.priors else None
        self.language = LanguageDecoder(config.language, config.width) if config.language else None
        self.scale = nn.Parameter(torch.tensor(2.659))  # log(1 / 0.07), Radford 2021

    def forward(
        self, branch: str, image: Tensor, text: Tokens | None = None, *, present: Tensor | None = None,
        extent: Extent | None = None, tables: Mapping[str, Rows] | None = None,
        earlier: Earlier | None = None, upsample: bool = True, embed: bool = True,
    ) -> Output:  # fmt: skip
        """image (B, C, *S); present (B, C) bool, False where a channel was not acquired.

        ``extent``: spacing in mm and real size, for the encoders that count in mm (vit, slices).
        ``upsample=False`` leaves mask logits at the resolution of the finest map (cheaper to train on);
        ``embed=False`` leaves out the embedding, which may cost a second drawing of the masks.
        """
        part = self.branch(branch)
        features = self.encode(branch, image, present=present, extent=extent)
        if earlier is not None and self.training and self.config.drop:
            hidden = torch.rand(len(earlier.days), 1) < self.config.drop
            earlier = earlier._replace(
                days=earlier.days.masked_fill(hidden.to(earlier.days.device), math.nan)
            )
        seen = self.looked_back(branch, features, earlier)
        if unknown := sorted(set(tables or {}) - set(self.tables)):
            raise BadInput(
                f"the model has no table {unknown[0]!r}", f"one of {', '.join(self.tables) or '-'}"
            )
        others = {name: self.tables[name](rows) for name, rows in (tables or {}).items()}
        if text is not None:
            others["text"] = self._text()(text)
        if self.training and self.config.drop:
            rate, lots = self.config.drop, torch.default_generator
            others = drop_modalities(others, rate, lots, keep_one=False)  # the image stays
        tokens = self._fused(seen, others)
        masks = part.masks(features.pyramid, tokens) if part.masks is not None else None
        labels = part.labels(tokens, masks, features.mask) if part.labels is not None else None
        if labels is not None:
            labels = part.combined("labels", labels, others)
        embedding = None
        if embed:  # of images alone: what is said beside them is no part of what they show
            alone = earlier is None and not others and not isinstance(self.fusion, EarlyFusion)
            embedding = part.embed(seen, masks if alone else part.drawn(features))
        grades = risk = None
        if part.grades is not None:  # the scores are combined: thresholds stay in their order
            levels = part.grades.thresholds()
            score = (part.grades(tokens, features.mask) - levels)[..., 0]
            grades = part.combined("grades", score, others)[..., None] + levels
        if part.risk is not None:
            risk = part.combined("risk", part.risk(tokens, features.mask), others)
        if masks is not None and upsample:
            masks = enlarge(masks, image.shape[2:])
        return Output(labels, masks, embedding, features, grades, risk)

    def _fused(self, features: Features, others: dict[str, Features]) -> Tensor:
        """The image's tokens (B, N, D), which know the others."""
        if self.resampler is not None and others:
            there = torch.stack([rows_present(each) for each in others.values()]).any(0)
            gathered = self.resampler(others, rows=len(there))
            mask = there[:, None].expand(gathered.tokens.shape[:2])
            others = {"others": Features((), gathered.tokens, gathered.pooled, mask)}
        if isinstance(self.fusion, MutualFusion):
            return self.fusion({"image": features, **others})["image"].tokens
        if isinstance(self.fusion, EarlyFusion):
            return self.fusion.tokens_of("image", {"image": features, **others})
        return self.fusion(features.tokens, others if self.fusion.blocks else {})

    def encode(
        self, branch: str, image: Tensor, *, present: Tensor | None = None, extent: Extent | None = None
    ) -> Features:
        """The branch's image encoder alone: image (B, C, *S) -> Features."""
        part = self.branch(branch)
        if image.ndim != part.axes + 2 or image.shape[1] != part.channels:
            wanted = f"(B, {part.channels}, {', '.join('ZYX'[3 - part.axes :])})"
            raise BadInput(f"image for {branch} has shape {tuple(image.shape)}", wanted)
        kind = torch.channels_last if part.axes == 2 else torch.channels_last_3d
        return part.encoder(image.contiguous(memory_format=kind), present, extent)

    def since(self, features: Features, earlier: Sequence[Features], days: Tensor) -> Features:
        """Features of the current image, whose tokens have looked at T others', ``days`` (B, T) old."""
        if self.timeline is None:
            raise BadInput("this model reads no earlier images", fix="choose one with priors")
        return features.with_tokens(self.timeline(features.tokens, earlier, days))

    def looked_back(self, branch: str, features: Features, earlier: Earlier | None) -> Features:
        """The same by images; those that are there are encoded."""
        if earlier is None:
            return features
        part, there = self.branch(branch), ~earlier.days.isnan()
        if not earlier.images.shape[:2] == there.shape == (len(features.tokens), there.shape[-1]):
            shapes = f"images {tuple(earlier.images.shape)}, days {tuple(there.shape)}"
            raise BadInput(
                f"earlier images of shape {shapes}", f"({len(features.tokens)}, T, ...) and so many days"
            )
        if (earlier.days < 0).any():
            raise BadInput("an earlier image has days below 0", "days before the current one")
        rows, dates = there.nonzero(as_tuple=True)
        if not len(rows) or self.timeline is None:
            return self.since(features, [], earlier.days[:, :0])
        present = None if earlier.present is None else earlier.present[rows, dates]
        own = None
        if earlier.extent is not None:
            own = Extent(*(None if each is None else each[rows, dates] for each in earlier.extent))
        found = self.encode(branch, earlier.images[rows, dates], present=present, extent=own)
        drawn = part.drawn(found)
        seen = part.dated(found.tokens, None if drawn is None else mask_evidence(drawn).flatten(1))
        tokens = seen.tokens.new_zeros(*there.shape, *seen.tokens.shape[1:])
        tokens[rows, dates] = seen.tokens
        real = there[..., None].expand(tokens.shape[:3]).clone()
        if found.mask is not None:
            real[rows, dates, : found.mask.shape[1]] = found.mask
        pairs = zip(tokens.unbind(1), real.unbind(1), strict=True)
        return self.since(features, [Features((), t, t[:, 0], m) for t, m in pairs], earlier.days)

    def embed(
        self, branch: str, image: Tensor, *, present: Tensor | None = None, extent: Extent | None = None,
        earlier: Earlier | None = None,
    ) -> Tensor:  # fmt: skip
        """image (B, C, *S) -> (B, E) of length 1: of what it shows, and of what has changed in it."""
        part, features = self.branch(branch), self.encode(branch, image, present=present, extent=extent)
        seen = self.looked_back(branch, features, earlier)
        return part.embed(seen, part.drawn(features))

    def encode_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids, mask (B, T) -> (B, E) of length 1."""
        pooled = self._text()(Tokens(ids, mask)).pooled
        assert self.project_text is not None
        return functional.normalize(self.project_text(pooled), dim=1)

    def axes(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """P sentences, each with its denial -> (P, E): from this to that, what ``asked`` looks along."""
        if self.tokenizer is None or self.config.text is None:
            raise BadInput("this model reads no text", fix="choose a model with a text encoder")
        sentences = [present for present, _ in pairs] + [absent for _, absent in pairs]
        texts = self.tokenizer(sentences, self.config.text.length)
        place = self.scale.device
        there, gone = self.encode_text(texts.ids.to(place), texts.mask.to(place)).chunk(2)
        return there - gone

    def asked(self, embedding: Tensor, axes: Tensor) -> Tensor:
        """(B, E), (P, E) -> (B, P) log-odds that a sentence and not its denial is right (Tiu 2022)."""
        return embedding @ axes.T * self.scale.clamp(max=MAX_SCALE).exp()

    def _text(self) -> TextEncoder:
        if self.text is None:
            raise BadInput("this model has no text encoder", fix="choose a model with one")
        return self.text

    def branch(self, name: str) -> Branch:
        """Raises BadInput for a name the model lacks."""
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
