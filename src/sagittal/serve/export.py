"""The files a reading is handed on as, made once a version, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

from sagittal.report.reading import Reading
from sagittal.serve.review import closed
from sagittal.serve.shelf import Shelf
from sagittal.serve.store import Store
from sagittal.serve.worker import Reader

NAMES = {
    "report.html": ("Report", "text/html; charset=utf-8"),
    "report.txt": ("Text", "text/plain; charset=utf-8"),
    "reading.json": ("JSON", "application/json"),
    "seg.dcm": ("SEG", "application/dicom"),
    "sr.dcm": ("SR", "application/dicom"),
}
_making = threading.Lock()


def offered(reading: Reading) -> dict[str, str]:
    """File name -> what the link says; one SEG for every series that was drawn on."""
    drawn = len({mask.series_uid for mask in reading.masks})
    links = {name: label for name, (label, _) in NAMES.items() if name != "seg.dcm"}
    segments = {"seg.dcm": "SEG"} if drawn else {}
    segments |= {f"seg-{number}.dcm": f"SEG {number}" for number in range(2, drawn + 1)}
    return links | segments


def made(store: Store, shelf: Shelf, reader: Reader, study: str, name: str) -> tuple[Path, str, str]:
    """(path, media type, file name to offer) of an export of the latest version.

    An unsigned reading's files say DRAFT in their names as well as inside.

    Raises:
        KeyError: there is no such study, export, or nothing to put into it (no mask for a SEG).
    """
    reading = store.reading(study)
    if name not in offered(reading):
        raise KeyError(name)
    kind = NAMES["seg.dcm" if name.startswith("seg-") else name][1]
    folder = store.folder / "exports" / study / f"version-{reading.version}"
    with _making:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
            try:
                opened = shelf.get(study)
                kept = {mask.name for mask in reading.masks}
                masks = {n: mask for n, mask in opened.masks.items() if n in kept}
                reader.write(opened.study, reading, masks, partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    path = folder / name
    if not path.is_file():
        raise KeyError(name)
    stem, dot, suffix = name.partition(".")
    state = "signed" if closed(reading) else "DRAFT"
    return path, kind, f"sagittal-{study}-v{reading.version}-{state}-{stem}{dot}{suffix}"
