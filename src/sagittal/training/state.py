"""What changes while fitting: weights, AdamW's moments, the average; as one flat set of named tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sagittal.training.distributed import place_like

AVERAGE, MOMENT = "average:", "moment:"


@dataclass
class State:
    """A run's state. ``parameters`` are those that want gradients, by name.

    ``averaged``: they and the statistics of batch normalisation beside them, since the last statistics do not
    belong to averaged weights (Izmailov 2018). In ``tensors`` the average of one of them is ``average:NAME``
    and AdamW's are ``moment:KIND:NAME``, so that a checkpoint means the same to any number of processes.
    """

    module: nn.Module
    learning_rate: float
    weight_decay: float
    step: int = 0
    seconds: float = 0.0
    average: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parameters = {n: p for n, p in self.module.named_parameters() if p.requires_grad}
        self.statistics = _statistics(self.module)
        self.averaged = self.parameters | {name: tensor for name, (tensor, _) in self.statistics.items()}
        # biases, norms and gates are not shrunk: only matrices and kernels are. Scalars stand by themselves,
        # since FSDP2 leaves them whole and one step takes either whole tensors or parts.
        every = self.parameters.values()
        groups = [
            {"params": [p for p in every if p.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [p for p in every if p.ndim == 1], "weight_decay": 0.0},
            {"params": [p for p in every if p.ndim == 0], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=self.learning_rate, betas=(0.9, 0.99), fused=True)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the average towards the weights."""
        # a young average follows quickly, or the random start would stay in it
        decay = min(decay, (1 + self.step) / (10 + self.step))
        average = self.average
        used = {n: p.detach() for n, p in self.parameters.items() if p.grad is not None}
        used |= {n: t for n, (t, weight) in self.statistics.items() if weight.grad is not None}
        for name, tensor in self.averaged.items():
            if name not in average:
                average[name] = tensor.detach().clone()
        # what FSDP2 leaves whole stands by itself: one step takes either whole tensors or parts
        for alone in (True, False):
            pairs = [
                (average[name], tensor)
                for name, tensor in used.items()
                if (tensor.ndim == 0 or name in self.statistics) == alone
            ]
            if pairs:
                torch._foreach_lerp_([a for a, _ in pairs], [p for _, p in pairs], 1 - decay)

    @torch.no_grad()
    def take_average(self) -> None:
        """The weights, and what belongs to them, become their average."""
        for name, tensor in self.average.items():
            self.averaged[name].copy_(tensor)

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by name."""
        found = dict(self.module.state_dict())
        found |= {AVERAGE + name: tensor for name, tensor in self.average.items()}
        for name, parameter in self.parameters.items():
            moments: dict[str, Any] = self.optimiser.state.get(parameter, {})
            found |= {f"{MOMENT}{kind}:{name}": moment for kind, moment in moments.items()}
        return found

    def place(self, names: list[str]) -> dict[str, Tensor]:
        """Tensors to read the named ones into, cut up over the processes as this run's are.

        Raises:
            ValueError: one belongs to no parameter of this module.
        """
        module = self.module.state_dict()
        places: dict[str, Tensor] = {}
        for name in names:
            kind, owner = _owner(name)
            if owner not in module:
                raise ValueError(f"{name} is no part of this model")
            places[name] = torch.zeros(()) if kind == "step" else torch.empty_like(module[owner])
        return places

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Become what was saved; whole tensors are cut up where this run's are."""
        module, weights = self.module.state_dict(), {}
        self.average = {}
        for name, tensor in tensors.items():
            kind, owner = _owner(name)
            # AdamW counts steps in a plain tensor beside each parameter
            value = place_like(tensor, module[owner]) if owner in module and kind != "step" else tensor
            if kind == "weight":
                weights[name] = value
            elif kind == "average":
                self.average[owner] = value
            else:
                parameter = self.parameters[owner]
                self.optimiser.state[parameter][kind] = value.to(parameter.device)
        self.module.load_state_dict(weights)


def _statistics(module: nn.Module) -> dict[str, tuple[Tensor, nn.Parameter]]:
    """Name -> (running mean or variance, the weight beside it) of norms that learn a weight."""
    norms = {name: part for name, part in module.named_modules() if isinstance(part, _BatchNorm)}
    return {
        f"{name}.{kind}".removeprefix("."): (getattr(norm, kind), norm.weight)
        for name, norm in norms.items()
        for kind in ("running_mean", "running_var")
        if norm.weight is not None and norm.weight.requires_grad and getattr(norm, kind) is not None
    }


def _owner(name: str) -> tuple[str, str]:
    """A saved tensor's name -> ("weight", "average" or the kind of moment; the parameter it belongs to)."""
    if name.startswith(AVERAGE):
        return "average", name.removeprefix(AVERAGE)
    if name.startswith(MOMENT):
        kind, _, owner = name.removeprefix(MOMENT).partition(":")
        return kind, owner
    return "weight", name
