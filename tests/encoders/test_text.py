"""The text encoder and its tokenizer."""

from __future__ import annotations

import functools
import json
import unicodedata
from pathlib import Path
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

import sagittal
from sagittal.encoders.text import TextConfig, TextEncoder
from sagittal.encoders.tokenizer import Tokenizer, read_tokenizer, train_tokenizer
from sagittal.errors import BadInput
from sagittal.layers.features import Tokens
from sagittal.layers.mixer import MixerConfig

REPORTS = [
    "There is a nodule in the right upper lobe measuring 12 mm.",
    "No pleural effusion. No pneumothorax.",
    "Large left pleural effusion with adjacent atelectasis.",
] * 5


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(REPORTS, 400)


def test_learns_whole_words_and_counts_its_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.size <= 400
    tokens = tokenizer(["pleural effusion"], 64)
    assert int(tokens.mask.sum()) == 3  # start and two words seen often
    assert tokens.ids[0, 0] == 1


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(max_codepoint=0x24F), max_size=60) | st.sampled_from(["<pad>", "a <start> b"]))
def test_any_text_comes_back_but_for_case_and_form(text: str) -> None:
    tokenizer = _trained()
    ids = tokenizer([text], 10_000).ids[0].tolist()
    assert max(ids) < tokenizer.size
    assert tokenizer.decode(ids) == unicodedata.normalize("NFKC", text.strip()).lower().strip()


@functools.cache
def _trained() -> Tokenizer:
    return train_tokenizer(REPORTS, 400)


def test_no_text_is_no_token_and_long_text_is_cut(tokenizer: Tokenizer) -> None:
    tokens = tokenizer([None, "  ", "nodule", "nodule " * 9000], 16)
    assert tokens.ids.shape == (4, 16)
    assert tokens.mask.sum(1).tolist()[:2] == [0, 0]
    assert tokens.mask.sum(1)[3] == 16
    assert tokenizer([None], 16).ids.shape == (1, 1)


def test_an_end_closes_what_was_not_cut(tokenizer: Tokenizer) -> None:
    assert tokenizer.end == 2
    tokens = tokenizer(["nodule", None, "nodule " * 20], 8, end=True)
    assert tokens.ids[0, : int(tokens.mask[0].sum())].tolist()[-1] == 2
    assert tokens.mask[1].sum() == 0
    assert tokens.mask[2].all()
    assert not (tokens.ids[2] == 2).any()
    assert tokenizer.decode(tokens.ids[0].tolist()) == "nodule"
    assert not (tokenizer(["a <end> b"], 64).ids == 2).any()


def test_a_tokenizer_without_an_end_ends_with_its_start(tmp_path: Path) -> None:
    """As that of sagittal-small 0.1.0, whose ids and file stay as they are."""
    special = [{"id": i, "content": word, "special": True} for i, word in enumerate(("<pad>", "<start>"))]
    common = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    words = {"<pad>": 0, "<start>": 1, "n": 2, "o": 3, "d": 4, "u": 5, "l": 6, "e": 7, "\u0120": 8}
    backend = {
        "version": "1.0",
        "added_tokens": [each | common for each in special],
        "pre_tokenizer": {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": words, "merges": []},
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(backend))
    old = read_tokenizer(path)
    assert old.end == 1
    assert old(["nodule"], 9, end=True).ids[0, -1] == 1
    assert old.dumps() == Backend.from_str(path.read_text("utf-8")).to_str()


def test_the_bundled_tokenizer_knows_where_a_text_ends() -> None:
    path = Path(sagittal.__file__).parent / "zoo/weights/sagittal-small/tokenizer.json"
    assert read_tokenizer(path).end == 2


def test_pieces_are_the_bytes_of_a_text(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces()
    assert len(pieces) == tokenizer.size
    for text in (REPORTS[0], "Größe 5 µm → ödem", "\t~\x00"):
        ids = tokenizer([text], 999, end=True).ids[0].tolist()
        assert b"".join(pieces[i] for i in ids) == tokenizer.normal(" " + text.strip()).encode()


def test_saved_tokenizer_reads_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(tokenizer.dumps())
    again = read_tokenizer(path)
    assert torch.equal(again(REPORTS[:1], 64).ids, tokenizer(REPORTS[:1], 64).ids)
    path.write_text("{}")
    with pytest.raises(BadInput, match=r"tokenizer\.json cannot be read"):
        read_tokenizer(path)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = TextEncoder(TextConfig(vocabulary=50, length=12, layers=2, heads=2), 16)
    ids = torch.randint(2, 50, (1, 5))
    short = encoder(Tokens(ids, torch.ones(1, 5, dtype=torch.bool)))
    long_ids = torch.cat([ids, torch.randint(2, 50, (1, 4))], 1)
    padded = encoder(Tokens(long_ids, torch.arange(9)[None] < 5))
    torch.testing.assert_close(padded.tokens[:, :5], short.tokens)
    torch.testing.assert_close(padded.pooled, short.pooled)


@pytest.mark.parametrize("kind", ["attention", "state_space", "recurrent", "lstm", "hybrid"])
def test_any_mixer_bidirectional_or_causal(kind: Literal["attention"]) -> None:
    ids = torch.randint(2, 50, (1, 9))
    other = ids.clone()
    other[0, 6] = (other[0, 6] + 1 - 2) % 48 + 2
    for causal in (True, False):
        mixer = MixerConfig(kind, causal=causal, heads=2)
        encoder = TextEncoder(TextConfig(vocabulary=50, length=12, layers=3, mixer=mixer), 16)
        real = torch.ones(1, 9, dtype=torch.bool)
        apart = (encoder(Tokens(ids, real)).tokens - encoder(Tokens(other, real)).tokens).abs().amax(-1)[0]
        assert (apart[:6].max() == 0) == causal
        assert apart[6:].min() > 0


def test_no_text_pools_to_zero_and_too_long_is_an_error() -> None:
    encoder = TextEncoder(TextConfig(vocabulary=50, length=4, layers=1, heads=2), 16)
    none = encoder(Tokens(torch.zeros(1, 3, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.bool)))
    assert none.pooled.abs().max() == 0
    with pytest.raises(ValueError, match="at most 4 tokens, got 5"):
        encoder(Tokens(torch.zeros(1, 5, dtype=torch.int64), torch.ones(1, 5, dtype=torch.bool)))
