"""Open whatever ``--data`` names."""

from __future__ import annotations

from pathlib import Path

from sagittal.datasets.dataset import Dataset
from sagittal.datasets.folder import open_folder
from sagittal.datasets.medmnist import open_medmnist
from sagittal.errors import BadInput


def open_data(path: str | Path) -> Dataset:
    """A data folder (or its ``labels.csv``), or a MedMNIST ``.npz``.

    Raises:
        BadInput: it is neither.
    """
    path = Path(path)
    if path.is_dir():
        return open_folder(path)
    if path.name == "labels.csv":
        return open_folder(path.parent)
    if not path.is_file():
        raise BadInput(f"{path} does not exist", "a data folder with labels.csv, or a MedMNIST .npz")
    with path.open("rb") as file:
        # A .npz is a zip archive, whatever its name.
        if file.read(4) == b"PK\x03\x04":
            return open_medmnist(path)
    raise BadInput(f"{path} is no data set", "a data folder with labels.csv, or a MedMNIST .npz")
