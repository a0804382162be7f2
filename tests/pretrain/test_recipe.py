"""Recipes: settings read strictly, a run claimed by its settings, going on, usage on the card."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pytest

from sagittal.cli.pretrain import status
from sagittal.errors import BadInput
from sagittal.meter import Usage
from sagittal.pretrain.recipe import changed, open_recipe, run_recipe
from sagittal.report.codec import read_json
from sagittal.training.distributed import World
from sagittal.training.loop import Progress

RECIPE = '''
"""Learn a line."""
from dataclasses import dataclass
from pathlib import Path
import torch
from sagittal.training.loop import FitConfig, fit

@dataclass(frozen=True)
class Recipe:
    steps: int = 6
    learning_rate: float = 0.01
    stop: bool = False

def batches(n):
    while True:
        yield torch.full((4, 1), float(n % 3))
        n += 1

def run(recipe, folder: Path, *, report, world):
    torch.manual_seed(0)
    net = torch.nn.Linear(1, 1)
    def told(progress):
        report(progress)
        if progress.step == 4 and not (folder / "stopped").exists():
            (folder / "stopped").touch()
            raise KeyboardInterrupt
    plan = FitConfig(steps=recipe.steps, learning_rate=recipe.learning_rate, report_steps=2, bf16=False)
    fit(net, lambda x: {"error": (net(x) - 3 * x).square().mean()}, batches, plan,
        folder=folder / "checkpoints", report=told if recipe.stop else report, world=world)
'''


@dataclass(frozen=True)
class Inner:
    depth: int = 2


@dataclass(frozen=True)
class Settings:
    steps: int = 10
    rate: float = 0.1
    name: str = "a"
    bf16: bool | None = None
    kind: Literal["ddp", "fsdp"] = "ddp"
    widths: tuple[int, ...] = (1, 2)
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner = field(default_factory=Inner)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("steps must be at least 1")


def test_settings_are_read_as_their_type() -> None:
    given = ["steps=20", "rate=1e-3", "name=7=b", "bf16=false", "kind=fsdp", "widths=3,4,5", "pair=1,2"]
    wanted = Settings(20, 1e-3, "7=b", False, "fsdp", (3, 4, 5), (1.0, 2.0), Inner(9))
    assert changed(Settings(), [*given, "inner.depth=9"]) == wanted
    assert changed(wanted, ["bf16=none"]).bf16 is None
    assert isinstance(changed(Settings(), ["rate=1"]).rate, float)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("step=20", "--set step: there is no 'step'; expected one of steps, .*; did you mean steps?"),
        ("steps", "--set steps; expected name=value"),
        ("steps=1.5", "--set steps=1.5; expected a whole number"),
        ("rate=fast", "--set rate=fast; expected a number"),
        ("rate=nan", "expected a number"),
        ("bf16=1", "expected true or false"),
        ("kind=zero", "expected one of ddp, fsdp"),
        ("widths=1,x", "expected a whole number"),
        ("pair=1,2,3", "expected 2 values"),
        ("inner.dept=3", "did you mean depth?"),
        ("steps.a=3", "steps has no parts"),
        ("inner=3", "expected a setting that is a number"),
        ("steps=0", "--set steps=0: steps must be at least 1"),
    ],
)
def test_what_cannot_be_is_one_clear_line(given: str, message: str) -> None:
    with pytest.raises(BadInput, match=message.replace("?", r"\?")) as error:
        changed(Settings(), [given])
    assert "\n" not in str(error.value)


def test_a_stopped_run_goes_on_and_counts_all_it_took(tmp_path: Path) -> None:
    file = tmp_path / "line.py"
    file.write_text(RECIPE)
    loaded, folder = open_recipe(file), tmp_path / "run"
    settings = changed(loaded.settings, ["stop=true"])
    with pytest.raises(KeyboardInterrupt):
        run_recipe(loaded, settings, folder)
    stopped = read_json(Usage, folder / "usage.json")
    assert stopped.seconds > 0
    seen: list[Progress] = []
    model, used = run_recipe(loaded, settings, folder, report=seen.append)
    assert model is None
    assert [p.step for p in seen] == [6]  # 4 and 2 were before
    assert used.seconds > stopped.seconds
    assert used.co2e_g == pytest.approx(used.energy_wh * 0.473)
    assert json.loads((folder / "recipe.json").read_text())["settings"]["steps"] == 6
    curve = [json.loads(line)["step"] for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert curve == [2, 4, 6]


def test_a_folder_belongs_to_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "line.py"
    file.write_text(RECIPE)
    loaded = open_recipe(file)
    run_recipe(loaded, loaded.settings, tmp_path / "run")
    other = changed(loaded.settings, ["steps=8"])
    with pytest.raises(
        BadInput, match="holds a run with other settings: steps; expected steps=6; choose another"
    ):
        run_recipe(loaded, other, tmp_path / "run")
    (tmp_path / "second.py").write_text(RECIPE)
    second = open_recipe(tmp_path / "second.py")
    with pytest.raises(BadInput, match="holds a run of recipe line"):
        run_recipe(second, second.settings, tmp_path / "run")


def test_what_is_no_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no file"):
        open_recipe(tmp_path / "none.py")
    for text, message in (
        ("x = 1", "is no recipe; expected a dataclass Recipe and a function run"),
        ("import nothing_of_that_name", "cannot be imported"),
        ("def run(:", "cannot be imported"),
    ):
        (tmp_path / "bad.py").write_text(text)
        with pytest.raises(BadInput, match=message):
            open_recipe(tmp_path / "bad.py")
    (tmp_path / "one.py").write_text(
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Recipe:\n    a: int = 1\n"
        "def run(recipe, folder):\n    return None\n"
    )
    loaded = open_recipe(tmp_path / "one.py")
    assert run_recipe(loaded, loaded.settings, tmp_path / "run")[0] is None

    class Two(World):
        def barrier(self) -> None: ...

    with pytest.raises(BadInput, match="runs in one process"):
        run_recipe(loaded, loaded.settings, tmp_path / "two", world=Two(size=2))


def test_the_command(sagittal: Callable[..., Any], tmp_path: Path) -> None:
    """The toy recipe from films to a card, then the contract's bad inputs."""
    toy = Path(__file__).resolve().parents[2] / "recipes/toy.py"
    small = (
        "--set",
        "films=4",
        "--set",
        "aside=2",
        "--set",
        "steps=3",
        "--set",
        "batch=2",
        "--set",
        "size=32",
        "--out",
        tmp_path / "toy",
    )
    ran = sagittal("pretrain", toy, *small, "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert ran.json["settings"]["films"] == 4
    curve = [json.loads(line) for line in (tmp_path / "toy/progress.jsonl").read_text().splitlines()]
    assert ran.json["probes"] == curve[-1]["probes"] and curve[-1]["step"] == 3
    assert 0.5 < ran.json["probes"]["unseen"] < 1.5  # three steps: about the mean predictor
    card = json.loads((tmp_path / "toy/model/card.json").read_text())
    assert card["training"]["seconds"] == ran.json["usage"]["seconds"] > 0
    assert card["training"]["co2e_source"]
    again = sagittal("pretrain", toy, *small)
    assert again.code == 0
    assert "Wh (" in again.out and "g CO2e (" in again.out
    assert "at half a charge each (Luccioni 2024)" in again.out and "half a litre for 10-50" in again.out
    bad = sagittal("pretrain", toy, *small[:-2], "--set", "steps=9", "--out", tmp_path / "toy", "--quiet")
    assert (bad.code, bad.out, bad.err.count("\n")) == (2, "", 1)
    assert "other settings: steps" in bad.err


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("toy.py", ["stepz=3"], "did you mean steps?"),
        ("toy.py", ["steps=three"], "expected a whole number"),
        ("toy.py", ["batch=0", "films=4", "size=32"], "a batch of 0"),
        ("no.py", [], "is no file"),
    ],
)
def test_what_a_recipe_refuses(name: str, settings: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=re.escape(message)) as refused:
        recipe = open_recipe(Path(__file__).resolve().parents[2] / "recipes" / name)
        told = lambda progress: None  # noqa: E731
        recipe.run(changed(recipe.settings, settings), tmp_path, report=told, world=World())
    assert "\n" not in str(refused.value)


def test_the_progress_line_has_losses_probes_and_time_left() -> None:
    progress = Progress(30, 0.25, {"masked": 0.5}, 1e-3, 60.0, 12.34, probes={"auroc": 0.75})
    assert status(progress) == "masked 0.500 · auroc 0.750 · 12.3/s float32 · 0:03:00 left"
    assert status(replace(progress, probes={})) == "masked 0.500 · 12.3/s float32 · 0:03:00 left"
