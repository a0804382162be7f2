"""A byte-pair tokenizer (byte level, so no text is unknown), trained by us and kept beside the weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from sagittal.errors import BadInput
from sagittal.layers.features import Tokens

PAD, START, END = "<pad>", "<start>", "<end>"
MAX_CHARACTERS = 20_000
MAX_BYTES = 16_000_000


class Tokenizer:
    """Turns texts into ``Tokens``. Id 0 pads, id 1 starts every text; case and Unicode form are folded.

    ``end`` is the id that ends a text: of ``<end>``, or 1 in a tokenizer trained before there was one (then
    one id says where a text starts and where it stops, as in GPT-2).
    """

    def __init__(self, backend: Backend) -> None:
        if backend.token_to_id(PAD) != 0 or backend.token_to_id(START) != 1:
            raise BadInput("tokenizer", f"{PAD} at id 0 and {START} at id 1")
        backend.encode_special_tokens = True  # "<pad>" typed in a report is five characters, not padding
        self._backend = backend
        end = backend.token_to_id(END)
        self.end: int = 1 if end is None else end

    @property
    def size(self) -> int:
        """How many ids there are."""
        return self._backend.get_vocab_size()

    def __call__(self, texts: Sequence[str | None], length: int, *, end: bool = False) -> Tokens:
        """Tokens (B, T), T the longest text but at most ``length``; longer ones lose their end.

        None, or a text of white space, becomes a row without real tokens: "no text". ``end`` closes each
        text with the id that ends it, unless it was cut: a decoder should not learn to stop there.
        """
        rows: list[list[int]] = []
        close = [self.end] if end else []
        for text in texts:
            stripped = (text or "")[:MAX_CHARACTERS].strip()
            rows.append([1, *self._backend.encode(" " + stripped).ids, *close][:length] if stripped else [])
        width = max(1, *(len(row) for row in rows)) if rows else 1
        ids = torch.zeros(len(rows), width, dtype=torch.int64)
        mask = torch.zeros(len(rows), width, dtype=torch.bool)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = torch.tensor(row, dtype=torch.int64)
            mask[index, : len(row)] = True
        return Tokens(ids, mask)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ``ids``, without padding and start."""
        return self._backend.decode(list(ids), skip_special_tokens=True).strip()

    def normal(self, text: str) -> str:
        """``text`` as it is before it is cut into tokens: what `decode` gives back."""
        return self._backend.normalizer.normalize_str(text) if self._backend.normalizer else text

    def pieces(self) -> tuple[bytes, ...]:
        """The bytes that each id stands for; none for those that pad, start and end."""
        names = (self._backend.id_to_token(index) or "" for index in range(self.size))
        return tuple(
            b"" if name in (PAD, START, END) else bytes(_BYTE_OF[letter] for letter in name) for name in names
        )

    def dumps(self) -> str:
        """The tokenizer as JSON, in the format of the ``tokenizers`` package."""
        return self._backend.to_str()


def _letters() -> dict[str, int]:
    """The byte behind each letter of a byte-level vocabulary: visible ones stand for themselves, the others
    for the letters from 256 on, in order (GPT-2's convention, which `tokenizers` keeps)."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + n): byte for n, byte in enumerate(hidden)}


_BYTE_OF = _letters()


def train_tokenizer(texts: Iterable[str], size: int = 2048) -> Tokenizer:
    """Learn at most ``size`` byte-pair tokens from ``texts``; the same texts give the same tokenizer."""
    backend = Backend(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    # digits apart: "12 mm" and "13 mm" then share their unit and their tens
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[PAD, START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # every text starts with a space, so that a word is the same token at the start as inside
    backend.train_from_iterator((" " + text.strip() for text in texts), trainer)
    return Tokenizer(backend)


def read_tokenizer(path: Path) -> Tokenizer:
    """Read ``tokenizer.json``.

    Raises:
        BadInput: not such a file.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(f"{path.name} is too large", f"at most {MAX_BYTES} bytes")
        return Tokenizer(Backend.from_str(path.read_text(encoding="utf-8")))
    except BadInput:
        raise
    except Exception as error:  # the Rust side raises bare Exception
        raise BadInput(
            f"{path.name} cannot be read: {error}", "a tokenizer.json saved with the model"
        ) from error
