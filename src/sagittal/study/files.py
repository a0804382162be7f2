"""Which files a path holds, from a file, a folder or a zip, without trusting any of them.

Nothing is unpacked to disk, links never lead outside the folder, and ``truth*`` is never opened.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Literal

from sagittal.errors import BadInput
from sagittal.study import limits

Kind = Literal["dicom", "nifti", "picture", "zip", "other"]
_HEAD = 1024


@dataclass(frozen=True)
class Source:
    """A file on disk, or a member of a zip.

    Args:
        name: path relative to what was opened, for messages.
        path: the file, or the zip that holds ``member``.
        size: bytes, unpacked.
    """

    name: str
    path: Path
    size: int
    member: str | None = None

    def open(self) -> BinaryIO:
        """A seekable binary stream; BadInput where the zip member is damaged."""
        if self.member is None:
            return self.path.open("rb")
        return io.BytesIO(self.read())

    def read(self) -> bytes:
        """All bytes."""
        if self.member is None:
            return self.path.read_bytes()
        try:
            with _archive(self.path).open(self.member) as stream:
                data = stream.read(limits.MAX_FILE_BYTES + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            RuntimeError,
            NotImplementedError,
            EOFError,
        ) as error:
            raise BadInput(f"{self.name} in {self.path} is damaged ({error})") from None
        if len(data) > limits.MAX_FILE_BYTES:
            raise BadInput(f"{self.name} in {self.path} is too large")
        return data

    def head(self) -> bytes:
        """The first kilobyte."""
        if self.member is None:
            with self.path.open("rb") as stream:
                return stream.read(_HEAD)
        try:
            with _archive(self.path).open(self.member) as stream:
                return stream.read(_HEAD)
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError):
            return b""


def _archive(path: Path) -> zipfile.ZipFile:
    """The zip, its directory parsed once; again where the file has changed."""
    status = path.stat()
    return _opened(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _opened(path: Path, _mtime_ns: int, _size: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class Found:
    """What a path holds: files by kind, in a stable order, and what was left out."""

    by_kind: dict[Kind, list[Source]]
    problems: list[str]

    def of(self, kind: Kind) -> list[Source]:
        return self.by_kind.get(kind, [])


def sniff(head: bytes, name: str) -> Kind:
    """What a file is, by its first kilobyte; the name decides only between zlib streams."""
    if head[128:132] == b"DICM":
        return "dicom"
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return "picture"
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        return "nifti" if _nifti(_gunzip(head)) or name.lower().endswith(".nii.gz") else "other"
    if _nifti(head):
        return "nifti"
    # DICOM without a preamble: the first element is of group 2 or 8, with an even, sane element number.
    if len(head) >= 8 and head[:4] in (b"\x08\x00\x00\x00", b"\x08\x00\x01\x00", b"\x08\x00\x05\x00"):
        return "dicom"
    if len(head) >= 8 and head[:2] in (b"\x08\x00", b"\x02\x00") and head[2:4] <= b"\x90\x00":
        return "dicom"
    return "other"


def _gunzip(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, 512)
    except zlib.error:
        return b""


def _nifti(head: bytes) -> bool:
    return head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c") and (
        head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2")
    )


def find(path: Path) -> Found:
    """Every readable file below ``path``, sorted by name.

    Raises:
        BadInput: the path does not exist, is empty, or is beyond a bound of `limits`.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})") from None
    if not there:
        raise BadInput(f"{path} does not exist", "a DICOM folder, file or zip, a NIfTI file, PNG or JPEG")
    problems: list[str] = []
    # Voxels are decoded later, when the current folder may be another one.
    path = path.absolute()
    try:
        sources = list(_walk(path, problems)) if path.is_dir() else [_file(path)]
        if len(sources) == 1 and sources[0].size and sniff(sources[0].head(), path.name) == "zip":
            sources = list(_members(sources[0].path, problems))
    except PermissionError as error:
        raise BadInput(f"{error.filename} cannot be read (permission denied)") from None
    if not sources:
        raise BadInput(f"{path} is empty", "DICOM, NIfTI, PNG or JPEG files")
    by_kind: dict[Kind, list[Source]] = {}
    for source in sources:
        try:
            head = source.head()
        except OSError as error:
            problems.append(f"{source.name} cannot be read ({error.strerror})")
            continue
        kind = sniff(head, source.name)
        by_kind.setdefault(kind, []).append(source)
        if kind == "zip":
            problems.append(f"{source.name} is a zip among other files and was left out")
    return Found(by_kind, problems)


def is_truth(name: str) -> bool:
    """Whether a file holds a phantom's truth, which no reader may see."""
    return Path(name).name.lower().startswith("truth")


def _file(path: Path) -> Source:
    if is_truth(path.name):
        raise BadInput(f"{path} is a truth file, which reading never opens", "the study itself")
    if not stat.S_ISREG(path.stat().st_mode):
        raise BadInput(f"{path} is not a regular file")
    size = path.stat().st_size
    if size == 0:
        raise BadInput(f"{path} is empty", "DICOM, NIfTI, PNG or JPEG")
    if size > limits.MAX_FILE_BYTES and not zipfile.is_zipfile(path):
        raise BadInput(f"{path} has {size} bytes", f"at most {limits.MAX_FILE_BYTES}")
    return Source(path.name, path, size)


def _walk(root: Path, problems: list[str]) -> Iterator[Source]:
    real, count = root.resolve(), 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = [f for f in folders if not f.startswith(".") and not is_truth(f)]
        if depth >= limits.MAX_DEPTH and folders:
            problems.append(f"folders deeper than {limits.MAX_DEPTH} were left out")
            folders.clear()
        for name in sorted(names):
            path = Path(folder, name)
            relative = str(path.relative_to(root))
            if name.startswith(".") or is_truth(name) or name == "DICOMDIR":
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real):
                problems.append(f"{relative} is a link out of the folder and was left out")
                continue
            try:
                status = path.stat()
            except OSError:
                problems.append(f"{relative} cannot be read")
                continue
            if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
                continue
            if status.st_size > limits.MAX_FILE_BYTES:
                problems.append(f"{relative} is larger than {limits.MAX_FILE_BYTES} bytes and was left out")
                continue
            count += 1
            if count > limits.MAX_FILES:
                raise BadInput(f"{root} holds more than {limits.MAX_FILES} files", "one study")
            yield Source(relative, path, status.st_size)


def _members(path: Path, problems: list[str]) -> Iterator[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.filename)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise BadInput(f"{path} is a damaged zip ({error})") from None
    if len(infos) > limits.MAX_FILES:
        raise BadInput(f"{path} holds {len(infos)} files", f"at most {limits.MAX_FILES}")
    total = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if total > limits.MAX_ZIP_BYTES or total > limits.MAX_ZIP_RATIO * max(packed, 1):
        raise BadInput(f"{path} unpacks to {total} bytes", f"at most {limits.MAX_ZIP_BYTES}")
    seen = set()
    for info in infos:
        name = info.filename
        hidden = any(part.startswith((".", "__MACOSX")) for part in Path(name).parts if part != "..")
        if info.is_dir() or hidden or any(is_truth(part) for part in Path(name).parts) or not info.file_size:
            continue
        if name.startswith(("/", "\\")) or ".." in Path(name).parts or ":" in name or name in seen:
            problems.append("the zip has members whose names lead out of it or repeat; they were left out")
            continue
        seen.add(name)
        if stat.S_ISLNK(info.external_attr >> 16):
            problems.append(f"{name} is a link and was left out")
            continue
        if info.flag_bits & 1:
            raise BadInput(f"{path} is encrypted", "an open zip", "unpack it first")
        if info.file_size > limits.MAX_FILE_BYTES:
            problems.append(f"{name} is larger than {limits.MAX_FILE_BYTES} bytes and was left out")
            continue
        yield Source(name, path, info.file_size, member=name)
