"""Streams: an order that is a function of the position, whoever reads it and wherever they begin."""

from __future__ import annotations

import itertools
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sagittal.errors import BadInput
from sagittal.training.shards import INDEX, Kind, Shards, write_shards
from sagittal.training.stream import (
    Batched,
    Folder,
    Mixture,
    Shuffled,
    Tolerant,
    buffered,
    epoch_order,
    loader,
    stacked,
    unreadable,
)


def samples(n: int) -> Iterator[dict[str, Tensor]]:
    for i in range(n):
        yield {"image": torch.full((1, 3), float(i)), "number": torch.tensor(i)}


class Counting(list[dict[str, Tensor]]):
    """A source that knows what was read."""

    def __init__(self, n: int) -> None:
        super().__init__(samples(n))
        self.read: list[int] = []

    def __getitem__(self, index: Any) -> Any:
        self.read.append(index)
        return super().__getitem__(index)


def numbers(batches: Iterator[dict[str, Tensor]], n: int) -> list[list[int]]:
    return [batch["number"].tolist() for batch in itertools.islice(batches, n)]


@given(st.integers(1, 500), st.integers(0, 9), st.integers(0, 3), st.none() | st.integers(1, 600))
def test_every_sample_once_an_epoch(n: int, seed: int, epoch: int, window: int | None) -> None:
    order = epoch_order(n, seed, epoch, window)
    assert sorted(order.tolist()) == list(range(n))
    assert order.tolist() == epoch_order.__wrapped__(n, seed, epoch, window).tolist()


def test_epochs_and_seeds_differ_and_a_window_keeps_neighbours_near() -> None:
    chosen = itertools.product((0, 1), (0, 1), (None, 128))
    orders = [epoch_order(1000, seed, epoch, window).tolist() for seed, epoch, window in chosen]
    assert len({tuple(order) for order in orders}) == len(orders)
    windowed = epoch_order(6400, 0, 0, 128)
    blocks = {int(i) // 64 for i in windowed[:128]}
    assert len(blocks) == 2  # a window reads two runs, not 128 places
    assert windowed[:64].tolist() != sorted(windowed[:64])


def test_resuming_reads_nothing_before() -> None:
    source = Counting(100)
    start = loader(Batched(Shuffled(source, seed=4), 8))
    whole = numbers(start(0), 40)
    source.read.clear()
    assert numbers(start(30), 10) == whole[30:]
    assert len(source.read) == 80
    assert Counter(itertools.chain(*whole[:25])) == dict.fromkeys(range(100), 2)  # two epochs exactly


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_the_same_global_batch(ranks: int) -> None:
    samples_at = Shuffled(Counting(50), seed=1)
    whole = numbers(loader(Batched(samples_at, 6))(3), 5)
    parts = [numbers(loader(Batched(samples_at, 6, rank, ranks))(3), 5) for rank in range(ranks)]
    assert [list(itertools.chain(*(part[n] for part in parts))) for n in range(5)] == whole
    with pytest.raises(BadInput, match="a batch of 7 over 2 processes"):
        Batched(samples_at, 7, 0, 2)


def test_workers_change_nothing(tmp_path: Path) -> None:
    write_shards(samples(40), tmp_path, each=16)
    batched = Batched(Shuffled(Shards(tmp_path), seed=2, window=8), 4)
    before = torch.get_rng_state()
    assert numbers(loader(batched, workers=2)(5), 6) == numbers(loader(batched)(5), 6)
    assert torch.equal(torch.get_rng_state(), before)  # or a resumed run would draw other dropout


@pytest.mark.parametrize("kind", get_args(Kind))
def test_shards_give_back_what_was_written_and_read_one_shard_at_a_time(tmp_path: Path, kind: Kind) -> None:
    alive: list[int] = []

    def watched() -> Iterator[dict[str, Tensor]]:
        for sample in samples(23):
            alive.append(1)
            yield sample | {"half": torch.tensor([0.5], dtype=torch.float16)}

    assert write_shards(watched(), tmp_path, each=10, kind=kind) == 23
    assert len(list(tmp_path.glob(f"*.{kind}"))) == 3
    shards = Shards(tmp_path)
    assert len(shards) == 23
    for i, wanted in enumerate(samples(23)):
        assert set(shards[i]) == {"image", "number", "half"}
        assert torch.equal(shards[i]["image"], wanted["image"])
        assert shards[i]["number"].dtype == torch.int64
        assert shards[i]["half"].dtype == torch.float16
    with pytest.raises(IndexError):
        shards[23]


def test_tar_files_of_other_tools(tmp_path: Path) -> None:
    for name in ("b", "a"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            for i in range(3):
                np.save(tmp_path / "x.npy", np.full(2, i + 10 * (name == "b")))
                tar.add(tmp_path / "x.npy", f"train/{name}{i}.image.npy")
                tar.add(tmp_path / "x.npy", f"train/{name}{i}.txt")
    shards = Shards(tmp_path)
    assert [int(shards[i]["image"][0]) for i in range(6)] == [0, 1, 2, 10, 11, 12]


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_damaged_shard_is_named_and_passed_over(tmp_path: Path, kind: Kind) -> None:
    write_shards(samples(12), tmp_path, each=4, kind=kind)
    broken = tmp_path / f"shard-000001.{kind}"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(BadInput, match=r"shard-000001\..* cannot be read"):
        Shards(tmp_path)[5]
    log = tmp_path / "unreadable.jsonl"
    start = loader(Batched(Tolerant(Shuffled(Shards(tmp_path), seed=0), log), 4))
    seen = set(itertools.chain(*numbers(start(0), 30)))
    assert seen == {0, 1, 2, 3, 8, 9, 10, 11}
    assert len(unreadable(log)) == len(set(unreadable(log))) >= 1
    assert all("shard-000001" in line for line in unreadable(log))
    with pytest.raises(BadInput, match=r"3 samples in a row cannot be read, the last: .*shard-000001"):
        Tolerant(Shards(tmp_path).__getitem__, log, limit=3)(4)


def test_unfinished_and_foreign_folders_are_refused(tmp_path: Path) -> None:
    write_shards(samples(5), tmp_path, each=2)
    (tmp_path / INDEX).rename(tmp_path / "aside")
    with pytest.raises(BadInput, match="no finished shards"):
        Shards(tmp_path)
    (tmp_path / INDEX).write_text('{"../secret.safetensors": 3}')
    with pytest.raises(BadInput, match="not in the folder"):
        Shards(tmp_path)
    (tmp_path / INDEX).write_text("[1]")
    with pytest.raises(BadInput, match="cannot be read"):
        Shards(tmp_path)


def test_a_mixture_keeps_its_weights_and_each_part_its_order() -> None:
    parts = {
        name: Shuffled([(name, i) for i in range(n)], seed=3) for name, n in (("a", 7), ("b", 100), ("c", 3))
    }
    mixture = Mixture(parts, {"a": 2.0, "b": 1.0, "c": 0.001}, seed=5)
    taken = [mixture(position) for position in range(2000)]
    counts = Counter(name for name, _ in taken)
    assert abs(counts["a"] - 2000 * 2 / 3.001) <= 2
    assert counts["c"] >= 2  # a small weight is not none
    for name, part in parts.items():
        own = [sample for sample in taken if sample[0] == name]
        assert own == [part(i) for i in range(len(own))]
    assert [mixture(position) for position in range(1500, 1520)] == taken[1500:1520]
    names = [name for name, _ in taken[:12]]
    assert names != sorted(names)
    batches = Mixture({n: Batched(Shuffled(Counting(9)), 2) for n in ("x", "y")}, {"x": 1, "y": 1})
    assert set(batches(0)) == {"image", "number"}
    with pytest.raises(BadInput, match="weights are of a"):
        Mixture(parts, {"a": 1.0})
    with pytest.raises(BadInput, match="above 0"):
        Mixture(parts, {"a": 1.0, "b": 0.0, "c": 1.0})


@given(st.integers(0, 80), st.integers(1, 20))
def test_a_buffer_gives_each_sample_once_and_holds_few(n: int, buffer: int) -> None:
    drawn: list[int] = []

    def source() -> Iterator[int]:
        for i in range(n):
            drawn.append(i)
            yield i

    given_ = []
    for sample in buffered(source(), buffer, seed=1):
        given_.append(sample)
        assert len(drawn) - len(given_) <= buffer
    assert sorted(given_) == list(range(n))


def test_a_folder_reads_one_file_at_a_time(tmp_path: Path) -> None:
    for i in (2, 0, 1):
        (tmp_path / f"p{i}").mkdir()
        np.save(tmp_path / f"p{i}" / "x.npy", np.full(2, i))
    opened: list[Path] = []

    def read(path: Path) -> dict[str, Tensor]:
        opened.append(path)
        return {"x": torch.from_numpy(np.load(path))}

    folder = Folder(tmp_path, read, "*.npy")
    assert len(folder) == 3
    assert opened == []
    assert [int(folder[i]["x"][0]) for i in range(3)] == [0, 1, 2]
    with pytest.raises(BadInput, match=r"holds no file \*\.dcm; it holds 3 \.npy"):
        Folder(tmp_path, read, "*.dcm")


def test_samples_that_differ_are_named() -> None:
    with pytest.raises(BadInput, match=r"differ: \{'x': \(2,\)\} and \{'x': \(3,\)\}"):
        stacked([{"x": torch.ones(2)}, {"x": torch.ones(3)}])
    with pytest.raises(BadInput, match="no samples"):
        Shuffled([])
