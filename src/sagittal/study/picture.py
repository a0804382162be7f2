"""PNG and JPEG as a series of one picture: no patient, no place, no millimetres."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from sagittal.errors import BadInput
from sagittal.study import limits
from sagittal.study.files import Source
from sagittal.study.geometry import Plane
from sagittal.study.study import Series
from sagittal.study.uid import derived_uid
from sagittal.study.volume import Volume

_GREY = ("1", "L", "I", "F", "I;16", "I;16B", "I;16L")


def read_picture(source: Source) -> Series:
    """A PNG or JPEG; its grey levels are decoded later, but the file is checked for its end now.

    Raises:
        BadInput: damaged, truncated, too large, or 1 x 1.
    """
    data = source.read()
    _complete(data, source)
    problems: list[str] = []
    with _opened(data, source) as image:
        width, height = image.size
        if width * height > limits.MAX_PICTURE_PIXELS:
            raise BadInput(
                f"{source.name} has {width} x {height} pixels", f"at most {limits.MAX_PICTURE_PIXELS}"
            )
        if width < 2 or height < 2:
            raise BadInput(f"{source.name} is {width} x {height} pixels", "a picture with something in it")
        if getattr(image, "n_frames", 1) > 1:
            problems.append("several frames: the first is read")
        if image.mode not in _GREY and not (image.mode == "P" and _grey_palette(image)):
            problems.append("colour picture: its luminance is read")
        turn = _turn(image, source)
        if turn not in (0, 1):
            problems.append("turned as its EXIF orientation says")
            if turn >= 5:
                width, height = height, width
    plane = Plane()

    def decode() -> Volume:
        return Volume(_pixels(data, source), plane)

    return Series(
        uid=derived_uid("picture", hashlib.sha256(data).hexdigest()),
        modality="OT",
        shape=(height, width),
        geometry=plane,
        unit="arbitrary",
        decode=decode,
        description=Path(source.name).stem,
        problems=limits.capped(problems),
    )


def _complete(data: bytes, source: Source) -> None:
    ending = b"IEND" if data.startswith(b"\x89PNG") else b"\xff\xd9"
    # Cameras and scanners append a little; an ending farther from the end belongs to a thumbnail.
    if ending not in data[-4096:]:
        raise BadInput(f"{source.name} is truncated", "a whole PNG or JPEG")


def _opened(data: bytes, source: Source) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{source.name} is not a PNG or JPEG that can be read ({error})") from None


def _turn(image: Image.Image, source: Source) -> int:
    """The EXIF orientation, 1 to 8; for a PNG this decodes the picture, which may be damaged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return int(image.getexif().get(0x0112, 1))
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise BadInput(f"{source.name} is damaged ({error})", "a whole PNG or JPEG") from None


def _grey_palette(image: Image.Image) -> bool:
    palette = np.array(image.getpalette() or [], np.uint8)
    colours = palette[: len(palette) // 3 * 3].reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _pixels(data: bytes, source: Source) -> NDArray[Any]:
    """(y, x), uint8 or uint16; float32 for a float picture."""
    try:
        with warnings.catch_warnings(), _opened(data, source) as image:
            warnings.simplefilter("ignore")
            turned = ImageOps.exif_transpose(image)
            if turned.mode in ("I;16", "I;16B", "I;16L", "I"):
                values = np.asarray(turned)
                low, high = int(values.min()), int(values.max())
                return values.astype(np.uint16 if low >= 0 and high <= 65535 else np.int32)
            if turned.mode == "F":
                return np.asarray(turned, np.float32)
            if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
                # Transparent means nothing there: black, as outside the film.
                rgba = turned.convert("RGBA")
                turned = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
            return np.asarray(turned.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{source.name}: the picture cannot be decoded ({error})") from None
