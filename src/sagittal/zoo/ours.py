"""Our own models on studies: the learning tower's `Model` behind the capabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sagittal.decoders.window import Window, slide
from sagittal.errors import BadInput, Refused
from sagittal.layers.features import Features, Tokens
from sagittal.model import Earlier, Model, Output
from sagittal.model import load as load_weights
from sagittal.study.context import Context
from sagittal.study.prepare import Prepared, prepare
from sagittal.study.spec import InputSpec
from sagittal.study.study import Series, Study
from sagittal.study.volume import Volume
from sagittal.zoo.calibrator import calibrate
from sagittal.zoo.capability import Inference, Masks, Prompt, Question, Scores
from sagittal.zoo.card import BranchCard, Card
from sagittal.zoo.gate import Distance, Gate, load_gates

PRIORS = 3
"""Earlier images that a model is shown, at most."""


def context_text(context: Context) -> str:
    """What the text encoder reads beside the image: indication, notes, labs; "" when nothing is known."""
    labs = [f"{lab.name} {lab.value:g} {lab.unit}" for lab in context.labs]
    return " ".join([context.indication, *context.notes, *labs]).strip()


def inputs(study: Study, spec: InputSpec) -> list[tuple[Series, ...]]:
    """What of a study a spec could be shown: one series at a time, or one a channel in the spec's order.

    Only modality, dimensions and sequence are compared; `prepare` still checks every one in full. A
    channel several series could fill takes the one with the most voxels; a study that lacks a channel
    gives nothing.
    """
    fitting = [s for s in study.series if s.readable and s.modality in spec.modality]
    if spec.channels == 1:
        return [(s,) for s in fitting if not spec.sequence or s.acquisition.sequence in spec.sequence]
    chosen = []
    for name in spec.sequence:
        same = [s for s in fitting if s.acquisition.sequence == name]
        if not same:
            return []
        chosen.append(max(same, key=lambda s: int(np.prod(s.shape))))
    return [tuple(chosen)]


def shown(study: Study, spec: InputSpec) -> Prepared:
    """The first input of the study that the spec accepts.

    Raises:
        BadInput: it has none that the spec could be shown.
        BadInput, Refused: none can be read or is inside the spec; the reason of the first.
    """
    reasons: list[Refused | BadInput] = []
    for series in inputs(study, spec):
        try:
            return prepare(series[0] if spec.channels == 1 else series, spec, study)
        except (Refused, BadInput) as reason:
            reasons.append(reason)
    if reasons:
        raise reasons[0]
    raise BadInput("no series to learn from", f"modality {'/'.join(spec.modality) or 'any'}")


def before(study: Study, spec: InputSpec, limit: int = 1) -> list[tuple[NDArray[np.float32], float]]:
    """Earlier images that the spec accepts, (array (C, *S), days before the study), the latest first.

    A prior without a date, of a later day, or outside the spec is left out: it cannot be aged, or
    shown. At most ``limit``.
    """
    dated = [(prior, study.date - prior.date) for prior in study.priors if study.date and prior.date]
    found: list[tuple[NDArray[np.float32], float]] = []
    for prior, age in sorted(dated, key=lambda pair: pair[1]):
        if age.days < 0 or len(found) == limit:
            continue
        try:
            found.append((shown(prior, spec).array, float(age.days)))
        except (Refused, BadInput):
            continue
    return found


@dataclass
class SagittalModel:
    """A loaded model of our own family: `Embeds`, `Classifies`, `Segments`, `Infers`."""

    card: Card
    model: Model
    gates: Mapping[str, Gate] = field(default_factory=dict)
    device: str = "cpu"

    @torch.inference_mode()
    def infer(self, study: Study, series: Sequence[Series], *, branch: str) -> Inference:
        """Scores, masks and features of one input in one pass.

        Raises:
            Refused: the input is outside the branch's `InputSpec` or larger than it was ever shown.
        """
        card = self.card.branch(branch)
        prepared = self._prepare(study, series, card)
        output = self._output(branch, prepared, study)
        distance = self._distance(branch, output.features)
        scores = _scores(branch, card, output, distance, prepared.stated)
        drawn = self._draw(branch, card, prepared, output)
        native = _native(card, drawn, prepared, series[0])
        masks = Masks(branch, native, distance, prepared.stated)
        return Inference(scores, masks, output.features.pooled[0].float().cpu().numpy())

    def classify(self, study: Study, series: Sequence[Series], *, branch: str) -> Scores:
        """Raw and calibrated probabilities; Refused as `infer`, without drawing at native size."""
        card = self.card.branch(branch)
        prepared = self._prepare(study, series, card)
        with torch.inference_mode():
            output = self._output(branch, prepared, study)
        return _scores(branch, card, output, self._distance(branch, output.features), prepared.stated)

    @torch.inference_mode()
    def hear(self, prompts: Sequence[Prompt]) -> Question:
        """Sentences through the text encoder; BadInput where there is none."""
        return Question(tuple(prompts), self.model.axes(prompts))

    @torch.inference_mode()
    def ask(self, study: Study, series: Sequence[Series], question: Question, *, branch: str) -> Scores:
        """Zero-shot by pairs of sentences, as CheXzero asks them (Tiu 2022); Refused as `infer`."""
        prepared = self._prepare(study, series, self.card.branch(branch))
        image, earlier = self._tensor(branch, prepared.array[None]), self._earlier(branch, study)
        part, features = self.model.branch(branch), self.model.encode(branch, image)
        seen = part.embed(self.model.looked_back(branch, features, earlier), part.drawn(features))
        odds = self.model.asked(seen, question.axes)[0].double().sigmoid()
        shares = {each.present: float(p) for each, p in zip(question.prompts, odds, strict=True)}
        return Scores(branch, shares, dict(shares), self._distance(branch, features), prepared.stated)

    def segment(self, study: Study, series: Sequence[Series], *, branch: str) -> Masks:
        """Bool masks on the first series' own grid; Refused as `infer`."""
        return self.infer(study, series, branch=branch).masks

    def embed(self, study: Study, series: Sequence[Series], *, branch: str) -> NDArray[np.float32]:
        """Pooled features (D,) before fusion; Refused as `infer`."""
        prepared = self._prepare(study, series, self.card.branch(branch))
        return self.features(branch, prepared.array[None])[0]

    @torch.inference_mode()
    def features(self, branch: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Prepared arrays (B, C, *S) to pooled features (B, D); what gates and probes are fitted on."""
        encoded = self.model.encode(branch, self._tensor(branch, images))
        return np.asarray(encoded.pooled.float().cpu().numpy())

    @torch.inference_mode()
    def forward(
        self,
        branch: str,
        images: NDArray[np.float32],
        texts: Sequence[str | None] = (),
        earlier: Earlier | None = None,
    ) -> Output:
        """Prepared arrays (B, C, *S), and a text or None each, through the whole model but its embedding."""
        text: Tokens | None = None
        if self.model.tokenizer is not None and self.model.config.text is not None and any(texts):
            text = self.model.tokenizer(texts, self.model.config.text.length)
            text = Tokens(text.ids.to(self.device), text.mask.to(self.device))
        return self.model(branch, self._tensor(branch, images), text, earlier=earlier, embed=False)

    def _output(self, branch: str, prepared: Prepared, study: Study) -> Output:
        """One prepared input with what the study knows beside it: its text, its priors where they count."""
        texts, earlier = [context_text(study.context)], self._earlier(branch, study)
        return self.forward(branch, prepared.array[None], texts, earlier)

    def _earlier(self, branch: str, study: Study) -> Earlier | None:
        """The study's priors, for a model that looks at them."""
        past = before(study, self.card.branch(branch).input, PRIORS) if self.model.config.priors else []
        if not past:
            return None
        images = torch.stack([self._tensor(branch, image[None])[0] for image, _ in past])
        return Earlier(images[None], torch.tensor([[days for _, days in past]], device=self.device))

    def _tensor(self, branch: str, images: NDArray[np.float32]) -> Tensor:
        window = self.card.branch(branch).window
        array = _centre(images, window) if window else images
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)

    def _prepare(self, study: Study, series: Sequence[Series], card: BranchCard) -> Prepared:
        spec = card.input
        if card.max_extent_mm is not None:
            _check_extent(series[0], card.max_extent_mm)
        return prepare(series[0] if spec.channels == 1 else tuple(series), spec, study)

    def _distance(self, branch: str, features: Features) -> Distance | None:
        gate = self.gates.get(branch)
        return gate.distance(features.pooled[0].float().cpu().numpy()) if gate else None

    def _draw(
        self, branch: str, card: BranchCard, prepared: Prepared, output: Output
    ) -> NDArray[np.float32] | None:
        """Mask logits (M, *S) of the prepared array."""
        if output.mask_logits is None:
            return None
        if card.window is None:
            return np.asarray(output.mask_logits[0].float().cpu().numpy())

        def predict(windows: Tensor) -> Tensor:
            found: Output = self.model(branch, windows.to(self.device), embed=False)
            assert found.mask_logits is not None
            return found.mask_logits

        image = torch.from_numpy(np.ascontiguousarray(prepared.array, np.float32)).to(self.device)
        return np.asarray(slide(predict, image, Window(card.window)).cpu().numpy())


def _scores(
    branch: str, card: BranchCard, output: Output, distance: Distance | None, stated: tuple[str, ...]
) -> Scores:
    raw: dict[str, float] = {}
    if output.label_logits is not None:
        logits = output.label_logits[0].double()
        p = logits.softmax(0) if card.exclusive else logits.sigmoid()
        raw = {label.observation: float(v) for label, v in zip(card.labels, p, strict=True)}
    calibrated = {key: calibrate(card, key, p) for key, p in raw.items()}
    return Scores(branch, raw, calibrated, distance, stated)


def _native(
    card: BranchCard, logits: NDArray[np.float32] | None, prepared: Prepared, series: Series
) -> dict[str, Volume]:
    if logits is None:
        return {}
    inside = logits > 0
    if card.exclusive_masks:
        inside &= logits == logits.max(0)
    native = np.asarray(prepared.to_native(inside)) > 0.5
    return {name: Volume(native[i], series.geometry) for i, name in enumerate(card.masks)}


def _centre(images: NDArray[np.float32], window: Sequence[int]) -> NDArray[np.float32]:
    """(B, C, *S) cropped or edge-padded around its middle to ``window``."""
    for axis, wanted in enumerate(window, start=2):
        have = images.shape[axis]
        if have < wanted:
            pads = [(0, 0)] * images.ndim
            pads[axis] = ((wanted - have) // 2, wanted - have - (wanted - have) // 2)
            images = np.pad(images, pads, mode="edge")
        elif have > wanted:
            low = (have - wanted) // 2
            images = np.take(images, range(low, low + wanted), axis)
    return images


def _check_extent(series: Series, largest_mm: Sequence[float]) -> None:
    spacing = series.geometry.spacing_mm
    if spacing is None or len(spacing) != len(series.shape):
        return
    extent = sorted(n * mm for n, mm in zip(series.shape, spacing, strict=True))
    if any(have > most for have, most in zip(extent, sorted(largest_mm), strict=True)):
        raise Refused(
            "the field of view is larger than the model was ever shown",
            f"at most {' x '.join(f'{v:g}' for v in sorted(largest_mm))} mm around the structure",
            " x ".join(f"{v:.0f}" for v in extent) + " mm",
        )


def load_sagittal(folder: Path, card: Card, device: str = "cpu") -> SagittalModel:
    """Load a folder of our own family.

    Raises:
        BadInput: weights and card do not belong together, or a file is damaged.
    """
    model = load_weights(folder)
    if model.digest != card.digest:
        raise BadInput(
            f"the weights in {folder} are not those of its card.json",
            f"digest {card.digest[:12]}",
            "fetch the model again",
        )
    missing = sorted(set(card.branches) - set(model.config.branches))
    if missing:
        raise BadInput(f"{folder}: card.json names the branch {missing[0]!r} that the weights lack")
    for name, branch in card.branches.items():
        config = model.config.branches[name]
        scored = tuple(label.observation for label in branch.labels)
        if scored != config.labels or branch.masks != config.masks:
            raise BadInput(f"{folder}: card.json and config.json name other labels or masks for {name}")
    return SagittalModel(card, model.to(device), load_gates(folder), device)
