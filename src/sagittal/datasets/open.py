"""Open whatever ``--data`` names; a published set is known by its files, never by its folder's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sagittal.datasets import (
    brats,
    chestxray14,
    chexpert,
    ct_rate,
    decathlon,
    lidc_idri,
    mimic_cxr,
    openi,
    padchest,
    rsna,
    totalsegmentator,
    vindr_cxr,
    vqa,
)
from sagittal.datasets.dataset import Dataset
from sagittal.datasets.folder import open_folder
from sagittal.datasets.medmnist import open_medmnist
from sagittal.datasets.table import LAYOUT, key_of, open_table
from sagittal.datasets.tables import header, nearest
from sagittal.errors import BadInput


@dataclass(frozen=True)
class Known:
    """A published set.

    Args:
        files: patterns below the folder; all of the first tuple have to be there, or all of another.
        columns: that the first file has to have, where others use its name too.
    """

    name: str
    open: Callable[[Path], Dataset]
    files: tuple[tuple[str, ...], ...]
    licence: str
    columns: tuple[str, ...] = ()
    separator: str = ","

    def lies_in(self, folder: Path) -> bool:
        """Whether the files are there."""
        for group in self.files:
            found = [next(folder.glob(pattern), None) for pattern in group]
            if None in found:
                continue
            first = found[0]
            if not self.columns or (first and set(self.columns) <= set(header(first, self.separator))):
                return True
        return False

    def complain(self, folder: Path) -> None:
        """Raise BadInput where the set's file is there and has most of its columns, but not all."""
        for pattern in (group[0] for group in self.files if self.columns):
            for path in folder.glob(pattern):
                there = header(path, self.separator)
                missing = [column for column in self.columns if column not in there]
                if missing and 2 * len(missing) <= len(self.columns):
                    what = f"{path} looks like {self.name} but has no column {missing[0]!r}"
                    raise BadInput(what, nearest(missing[0], there))


KNOWN = (
    Known(mimic_cxr.NAME, mimic_cxr.open_mimic_cxr, (("mimic-cxr-*-metadata.csv*",),), mimic_cxr.LICENCE),
    Known(
        chexpert.NAME,
        chexpert.open_chexpert,
        (("train.csv",), ("valid.csv",)),
        chexpert.LICENCE,
        ("Path", "Frontal/Lateral", "AP/PA"),
    ),
    Known(chestxray14.NAME, chestxray14.open_chestxray14, (("Data_Entry_2017*.csv",),), chestxray14.LICENCE),
    Known(padchest.NAME, padchest.open_padchest, (("PADCHEST*.csv*",),), padchest.LICENCE),
    Known(
        vindr_cxr.NAME, vindr_cxr.open_vindr_cxr, (("annotations/image_labels_*.csv",),), vindr_cxr.LICENCE
    ),
    Known(
        openi.NAME,
        openi.open_openi,
        (("ecgen-radiology/*.xml",), ("indiana_reports.csv", "indiana_projections.csv")),
        openi.LICENCE,
    ),
    Known(
        ct_rate.NAME,
        ct_rate.open_ct_rate,
        (
            ("multi_abnormality_labels/*_predicted_labels.csv",),
            ("dataset/multi_abnormality_labels/*_predicted_labels.csv",),
        ),
        ct_rate.LICENCE,
    ),
    Known(
        lidc_idri.NAME,
        lidc_idri.open_lidc_idri,
        (("LIDC-IDRI-*/*/*/*.xml",), ("LIDC-IDRI/LIDC-IDRI-*/*/*/*.xml",)),
        lidc_idri.LICENCE,
    ),
    Known(
        "Medical Segmentation Decathlon",
        decathlon.open_decathlon,
        (("dataset.json", "imagesTr"),),
        "CC BY-SA 4.0, as dataset.json states",
    ),
    Known(
        totalsegmentator.NAME,
        totalsegmentator.open_totalsegmentator,
        (("meta.csv", "s*/segmentations"),),
        totalsegmentator.LICENCE,
        ("image_id", "split"),
        ";",
    ),
    Known(
        brats.NAME,
        brats.open_brats,
        tuple((f"{place}{end}",) for place in ("*/", "*/*/", "") for end in ("*_flair.nii*", "*-t2f.nii*")),
        brats.LICENCE,
    ),
    Known(
        "RSNA pneumonia 2018",
        rsna.open_rsna_pneumonia,
        (("stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"),),
        rsna.LICENCE,
    ),
    Known(
        "RSNA haemorrhage 2019",
        rsna.open_rsna_haemorrhage,
        (("stage_2_train.csv",),),
        rsna.LICENCE,
        ("ID", "Label"),
    ),
    *(Known(one.name, rsna.open_rsna, ((one.table,),), rsna.LICENCE, one.columns) for one in rsna.CHALLENGES),
    Known(
        "VQA-RAD",
        vqa.open_vqa_rad,
        (("VQA_RAD Dataset Public.json",), ("trainset.json", "testset.json")),
        vqa.RAD_LICENCE,
    ),
    Known("SLAKE", vqa.open_slake, (("train.json", "validat*.json", "test.json"),), vqa.SLAKE_LICENCE),
)
"""In this order: a set with a file name of its own stands before those that are told by columns."""


def open_data(path: str | Path) -> Dataset:
    """A data folder (or its ``labels.csv``), a published set, a MedMNIST ``.npz``, or a folder with one CSV.

    Raises:
        BadInput: it is none of them; or its table is missing a column, which is named.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if path.name == "labels.csv":
        return open_folder(path.parent)
    if not path.is_file():
        raise BadInput(f"{path} does not exist", "a data folder with labels.csv, or a MedMNIST .npz")
    with path.open("rb") as file:
        # A .npz is a zip archive, whatever its name.
        if file.read(4) == b"PK\x03\x04":
            return open_medmnist(path)
    if path.suffix == ".csv":
        return open_table(path)
    raise BadInput(f"{path} is no data set", "a data folder with labels.csv, or a MedMNIST .npz")


def _folder(path: Path) -> Dataset:
    if (path / "labels.csv").is_file():
        return open_folder(path)
    for known in KNOWN:
        if known.lies_in(path):
            return known.open(path)
    for known in KNOWN:
        known.complain(path)
    tables = sorted(path.glob("*.csv"))
    if len(tables) == 1 and key_of(header(tables[0])):
        return open_table(tables[0])
    names = ", ".join(known.name for known in KNOWN)
    raise BadInput(
        f"{path} has no labels.csv and not the files of a published set",
        f"labels.csv, {LAYOUT}, or one of: {names}",
    )
