"""One script, one process or many: who we are under `torchrun`, DDP and FSDP2, and what ranks agree on.

    with world("cpu") as here:                       # alone without torchrun
        fit(module, objective, batches, config, world=here, folder=folder)

Every rank takes its own part of the global batch (`stream.Batched`); gradients are averaged over ranks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sagittal.errors import BadInput
from sagittal.layers.batch_norm import across

Objective = Callable[[Any], Mapping[str, Tensor]]
A = TypeVar("A")


@dataclass(frozen=True)
class World:
    """This process among ``size``; ``stop`` is set when the machine's manager asks to end (SIGTERM)."""

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    stop: threading.Event = field(default_factory=threading.Event)

    def total(self, values: list[float]) -> list[float]:
        """Each value summed over the ranks; every rank must ask."""
        if self.size == 1:
            return values
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def any(self, flag: bool) -> bool:
        """Whether it holds on any rank; every rank must ask."""
        return self.total([float(flag)])[0] > 0

    def barrier(self) -> None:
        """Wait for every rank."""
        self.any(False)

    def each(self, tensor: Tensor) -> list[Tensor]:
        """``tensor``, of the same shape everywhere, of every rank in order."""
        if self.size == 1:
            return [tensor]
        mine = tensor.to(self.device)
        others = [torch.empty_like(mine) for _ in range(self.size)]
        dist.all_gather(others, mine)
        return [other.to(tensor.device) for other in others]


@contextlib.contextmanager
def world(device: str = "cpu") -> Iterator[World]:
    """Join the processes that `torchrun` started; alone where it started none.

    Gloo on the processor, NCCL on CUDA devices, one device a process. SIGTERM (SLURM before it ends a job,
    torchrun when a worker has died) sets ``stop``: the loop saves after its step and ends.

    Raises:
        BadInput: torchrun's environment is there in part only, or names a device that is not there.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        yield World(device=torch.device(device))
        return
    try:
        rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    except (KeyError, ValueError):
        raise BadInput(
            "RANK, WORLD_SIZE or LOCAL_RANK is not set or no number", fix="start with torchrun"
        ) from None
    place = torch.device(device)
    if place.type == "cuda":
        if local >= torch.cuda.device_count():
            raise BadInput(
                f"process {local} of this machine has no GPU", f"at most {torch.cuda.device_count()}"
            )
        place = torch.device("cuda", local)
        torch.cuda.set_device(place)
    # torchrun keeps one store for all its attempts: without a prefix of its own an attempt finds the
    # addresses of the processes that died, and waits for them
    torch_dist: Any = dist
    store, _, _ = next(torch_dist.rendezvous("env://", rank, size))
    store = torch_dist.PrefixStore(f"attempt-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "nccl" if place.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    here = World(rank, size, place)
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, lambda *_: here.stop.set()) if in_main else None
    try:
        yield here
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
        dist.destroy_process_group()


class Spread(nn.Module):
    """The objective as a module: so DDP and FSDP2 see it, whichever way it calls what it closes over."""

    def __init__(self, module: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.module, self.objective = module, objective

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """A batch -> its loss terms."""
        return dict(self.objective(batch))


def spread(module: nn.Module, objective: Objective, here: World, *, shard: bool) -> Objective:
    """``objective`` whose backward pass averages the gradients over the ranks.

    ``shard`` False: DDP, a copy a rank. True: FSDP2, a part of every parameter, gradient and moment a rank;
    the members of each `nn.ModuleList` are gathered one by one when called, the rest at once. Then parameters
    are replaced: collect them afterwards; scalars stay whole. All ranks begin with rank 0's values, and a
    `BatchNorm` sees the batches of all of them from now on. Alone: the objective itself.
    """
    if here.size == 1:
        return objective
    across(module, True)
    whole = Spread(module, objective)
    if not shard:
        # a branch that a batch does not use has no gradient
        return DistributedDataParallel(whole, find_unused_parameters=True)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            dist.broadcast(tensor, 0)
    mesh = init_device_mesh(here.device.type, (here.size,))
    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    for blocks in reversed(lists):  # inner ones first
        for block in blocks:
            if any(True for _ in block.parameters()):
                fully_shard(block, mesh=mesh, ignored_params=_scalars(block))
    fully_shard(whole, mesh=mesh, ignored_params=_scalars(whole))
    return whole


def _scalars(module: nn.Module) -> set[nn.Parameter]:
    return {parameter for parameter in module.parameters() if parameter.ndim == 0}


def clip(parameters: list[nn.Parameter], limit: float, here: World, *, shard: bool) -> Tensor:
    """Scale the gradients of a step to a norm of at most ``limit``; returns the norm before, () float.

    With ``shard`` the gradients of scalars, which FSDP2 leaves alone, are first averaged over the ranks.
    """
    if here.size == 1 or not shard:
        return nn.utils.clip_grad_norm_(parameters, limit)
    scalars = [parameter for parameter in parameters if parameter.ndim == 0]
    for scalar in scalars:
        found = 0.0 if scalar.grad is None else float(scalar.grad)
        total, any_rank = here.total([found, float(scalar.grad is not None)])
        scalar.grad = torch.full_like(scalar, total / here.size) if any_rank else None
    groups = [scalars, [parameter for parameter in parameters if parameter.ndim > 0]]
    grads = [[p.grad for p in group if p.grad is not None] for group in groups]
    norms = [whole(nn.utils.get_total_norm(each)) for each in grads if each]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    factor = (limit / (norm + 1e-6)).clamp(max=1.0)
    for each in grads:
        for grad in each:
            grad.mul_(factor)
    return norm


def replaced(objective: Objective, by: Objective) -> Objective:
    """What `spread` gave, with another function inside."""
    held = objective.module if isinstance(objective, DistributedDataParallel) else objective
    if not isinstance(held, Spread):
        return by
    held.objective = by
    return objective


def inside(objective: Objective, ask: Callable[[], A]) -> A:
    """``ask()`` where what `spread` cut up can be called: a forward pass of FSDP2, so every rank must ask."""
    if not isinstance(objective, Spread):
        return ask()
    kept, answers = objective.objective, []

    def asked(_: Any) -> dict[str, Tensor]:
        answers.append(ask())
        return {}

    objective.objective = asked
    try:
        objective(None)
    finally:
        objective.objective = kept
        objective.reshard()  # type: ignore[operator]  # what was gathered is let go
    return answers[0]


@contextlib.contextmanager
def unsynchronised(objective: Objective, on: bool = True) -> Iterator[None]:
    """Backward passes inside leave the gradients of DDP or FSDP2 on their rank, to accumulate."""
    if on and isinstance(objective, DistributedDataParallel):
        with objective.no_sync():
            yield
    elif on and isinstance(objective, Spread):
        objective.set_requires_gradient_sync(False)  # type: ignore[operator]
        try:
            yield
        finally:
            objective.set_requires_gradient_sync(True)  # type: ignore[operator]
    else:
        yield


def full_weights(module: nn.Module) -> dict[str, Tensor]:
    """State of a module, whole, in memory, also of one that FSDP2 has cut up; every rank must ask."""
    state = module.state_dict()
    return {name: whole(tensor).detach().cpu().clone() for name, tensor in state.items()}


def whole(tensor: Tensor) -> Tensor:
    """A tensor itself, or all parts of a sharded one."""
    return cast(Any, tensor).full_tensor() if hasattr(tensor, "full_tensor") else tensor


def place_like(tensor: Tensor, target: Tensor) -> Tensor:
    """A whole tensor cut up as ``target`` is; as it is where ``target`` is whole."""
    if not hasattr(target, "device_mesh") or hasattr(tensor, "device_mesh"):
        return tensor.to(target.device)
    from torch.distributed.tensor import distribute_tensor

    like: Any = target
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather(tensor: Tensor) -> Tensor:
    """(B, ...) -> (ranks x B, ...), the same on every rank, with gradient: global negatives.

    A loss of all rows, computed on every rank and averaged by DDP or FSDP2, has the gradient of one process
    with the whole batch: the sum over ranks here and the mean there cancel. Alone: the tensor itself.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return tensor
    return cast(Any, _Gather).apply(tensor)
