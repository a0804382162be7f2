"""Pictures: grey levels as they are, nothing about the patient invented."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sagittal.errors import BadInput
from sagittal.study.open import open_study
from sagittal.study.study import Series


def only(path: Path) -> Series:
    (series,) = open_study(path).series
    return series


def test_depths_keep_their_values(tmp_path: Path) -> None:
    values = np.arange(256 * 4, dtype=np.uint16).reshape(32, 32) * 60
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert np.array_equal(only(tmp_path / "deep.png").volume.voxels, values)
    Image.fromarray((values // 256).astype(np.uint8)).save(tmp_path / "grey.png")
    series = only(tmp_path / "grey.png")
    assert np.array_equal(series.volume.voxels, values // 256)
    assert series.modality == "OT"
    assert series.geometry.orientation == "not stated"
    assert series.geometry.spacing_mm is None
    assert series.problems == ()


def test_colour_and_transparency(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    assert np.all(only(tmp_path / "red.png").volume.voxels == 76)
    assert "luminance" in only(tmp_path / "red.png").problems[0]
    Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "clear.png")
    assert np.all(only(tmp_path / "clear.png").volume.voxels == 0)
    Image.new("L", (8, 8), 7).convert("P").save(tmp_path / "palette.png")
    assert np.all(only(tmp_path / "palette.png").volume.voxels == 7)


def test_exif_orientation_is_followed_and_said(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((10, 20), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "t.jpg", exif=exif)
    series = only(tmp_path / "t.jpg")
    assert series.shape == series.volume.shape == (20, 10)
    assert "EXIF" in series.problems[0]


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("x.png", "x.jpg"):
        path = tmp_path / name
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)).save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadInput, match="truncated"):
            open_study(path)
        path.write_bytes(whole[:20] + b"\0" * 30 + whole[50:])
        with pytest.raises(BadInput):
            _ = only(path).volume


def test_every_real_film_opens(shared_data: Path) -> None:
    paths = sorted((shared_data / "cxr_notes" / "images").iterdir())
    assert len(paths) == 177
    for path in paths:
        series = only(path)
        with Image.open(path) as oracle:
            assert series.shape == oracle.size[::-1]
    grey = only(paths[0]).volume
    assert grey.voxels.dtype == np.uint8


def test_damage_before_the_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes(50) + data[250:])
    with pytest.raises(BadInput, match=r"damaged|decoded"):
        _ = open_study(path).series[0].volume
