"""Constrained writing: always in the language, whatever the weights; the rest shares the probability."""

from __future__ import annotations

import functools
import itertools
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sagittal.decoders.automaton import compiled
from sagittal.decoders.constraint import Constraint, of_automaton, of_texts
from sagittal.decoders.language import LanguageConfig, LanguageDecoder
from sagittal.decoders.pattern import parsed, templates
from sagittal.decoders.search import beam, greedy, sample
from sagittal.encoders.tokenizer import Tokenizer, train_tokenizer
from sagittal.errors import BadInput
from sagittal.layers.features import Tokens

WORDS = ["nodule", "effusion", "mass", "left lung", "right lung", "ödem"]
SEARCHES = {
    "greedy": greedy,
    "beam": beam,
    "sample": sample,
    "hot": functools.partial(sample, temperature=9.0),
}


@functools.cache
def tokenizer() -> Tokenizer:
    return train_tokenizer([f"No {word} in the {word}, 12 mm. Small {word}." for word in WORDS] * 3, 380)


@functools.cache
def decoder(seed: int) -> LanguageDecoder:
    torch.manual_seed(seed)
    made = LanguageDecoder(LanguageConfig(tokenizer().size, 96, layers=1, heads=2), 16)
    with torch.no_grad():
        made.embed.weight.mul_(4)  # very sure of itself, and wrong
    return made.eval()


def start(batch: int = 1) -> Tokens:
    return Tokens(torch.ones(batch, 1, dtype=torch.int64), torch.ones(batch, 1, dtype=torch.bool))


def write(constraint: Constraint, seed: int, search: str, most: int) -> str:
    made = SEARCHES[search](decoder(seed), start(), end=tokenizer().end, most=most, constraint=constraint)  # type: ignore[operator]
    assert made.ended.all()
    assert made.log_probability.isfinite().all()
    return tokenizer().decode(made.text.ids[0].tolist())


letters = st.sampled_from(["a", "b", "1", "mm", r"\.", "é", "[a-c]", "[^a]", ".", r"\d"])
expressions = st.recursive(
    letters,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=80)
@given(expressions, st.lists(st.text("ab1mé.", max_size=7), min_size=1, max_size=20))
def test_an_expression_means_what_it_means_to_python(expression: str, texts: list[str]) -> None:
    automaton = compiled(parsed(expression))
    for text in texts:
        # a set is of visible ASCII here
        if "é" in text and any(sign in expression for sign in ("[^", ".")):
            continue
        assert automaton.accepts(text.encode()) == bool(re.fullmatch(expression, text))


def test_the_automaton_is_minimal() -> None:
    assert len(compiled(parsed("(ab|cb|db)*")).table) == 2
    assert len(compiled(parsed("(a|b)*abb")).table) == 4  # the textbook's
    assert len(compiled(parsed("a{3,5}")).table) == 6


@settings(max_examples=25)
@given(expressions, st.integers(0, 3), st.sampled_from(sorted(SEARCHES)))
def test_what_is_written_matches_the_expression(expression: str, seed: int, search: str) -> None:
    constraint = of_automaton(compiled(parsed(expression)), tokenizer().pieces(), tokenizer().end)
    most = int(constraint.left[0]) + 3  # hardly room: what is begun must still be ended
    text = write(constraint, seed, search, most)
    if all(sign not in expression for sign in ("[^", ".")):  # a blank at either end would be stripped
        assert re.fullmatch(expression, text)


SLOTS = {"finding": ("nodule", "effusion", "mass", "ödem"), "place": ("left lung", "right lung")}
TEMPLATES = ["no {finding}.", "{finding} in the {place}, {size} mm."]


@settings(max_examples=12)
@given(st.integers(0, 5), st.sampled_from(sorted(SEARCHES)), st.integers(1, 4))
def test_what_is_written_fills_the_templates(seed: int, search: str, most: int) -> None:
    slots = SLOTS | {"size": tuple(map(str, range(1, 31)))}
    automaton = compiled(templates(TEMPLATES, slots, most=most))
    constraint = of_automaton(automaton, tokenizer().pieces(), tokenizer().end)
    text = write(constraint, seed, search, 90)
    finding = "(nodule|effusion|mass|ödem)"
    one = rf"(no {finding}\.|{finding} in the (left|right) lung, ([12]?[1-9]|[123]0) mm\.)"
    assert re.fullmatch(f"{one}( {one}){{0,{most - 1}}}", text)


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from([" ".join(w) for w in itertools.permutations(WORDS[:4], 2)]), min_size=1, max_size=6
    ),
    st.integers(0, 3),
    st.sampled_from(sorted(SEARCHES)),
)
def test_what_is_written_is_one_of_the_texts(texts: list[str], seed: int, search: str) -> None:
    rows = [tokenizer()([text], 64).ids[0, 1:].tolist() for text in texts]
    constraint = of_texts(rows, tokenizer().size, tokenizer().end)
    assert write(constraint, seed, search, 1 + max(map(len, rows))) in texts


def test_the_allowed_texts_share_the_probability() -> None:
    """Each token's probability is divided by that of what was allowed there: by hand, over all texts."""
    texts = ["no mass", "no nodule", "mass", "effusion"]
    rows = [tokenizer()([text], 64).ids[0, 1:].tolist() for text in texts]
    end, model = tokenizer().end, decoder(1)
    constraint = of_texts(rows, tokenizer().size, end)
    ended = [(*row, end) for row in rows]
    total, best = 0.0, (-math.inf, "")
    for text, row in zip(texts, ended, strict=True):
        ids = torch.tensor([[1, *row]])
        with torch.no_grad():
            logits = model(Tokens(ids, torch.ones_like(ids, dtype=torch.bool)))[0]
        logp = 0.0
        for place, token in enumerate(row):
            options = sorted({other[place] for other in ended if other[:place] == row[:place]})
            logp += float(logits[place, token] - logits[place, options].logsumexp(0))
        total += math.exp(logp)
        best = max(best, (logp, text))
    assert total == pytest.approx(1, abs=1e-5)
    found = beam(model, start(), end=end, most=16, beams=4, penalty=0.0, constraint=constraint)
    assert tokenizer().decode(found.text.ids[0].tolist()) == best[1]
    assert float(found.log_probability[0]) == pytest.approx(best[0], abs=1e-4)


def test_too_little_room_is_said_before_anything_is_written() -> None:
    constraint = of_automaton(compiled(parsed("xyzzy{9}")), tokenizer().pieces(), tokenizer().end)
    with pytest.raises(BadInput, match=f"takes {int(constraint.left[0])} tokens"):
        greedy(decoder(0), start(), end=tokenizer().end, most=5, constraint=constraint)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(a", "ends too early"),
        ("a)", "not opened"),
        ("a**", "repetition of a repetition"),
        ("[]", "empty set"),
        ("[b-a]", "upside down"),
        ("a{3,2}", "upside down"),
        ("a{999}", "out of 0 to 256"),
        ("^a$", "no meaning here"),
        (r"\b", "not known"),
        ("(" * 60 + ")" * 60, "nested too deep"),
        ("a{2", "no {n,m}"),
        ("a" * 100_001, "too long"),
        ("(((a{250}){250}){250})", "too large"),
        ("(a|b)*a(a|b){12}", "too large"),
    ],
)
def test_a_bad_expression_is_named(expression: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagittal.decoders.automaton.MAX_LETTERS", 5000)
    monkeypatch.setattr("sagittal.decoders.automaton.MAX_STATES", 500)
    with pytest.raises(BadInput, match=re.escape(why)):
        compiled(parsed(expression))


def test_bad_templates_and_texts_are_named() -> None:
    with pytest.raises(BadInput, match="slot 'place' without values"):
        templates(["in the {place}"], {"finding": ("nodule",)})
    with pytest.raises(BadInput, match="no template"):
        templates([], {})
    with pytest.raises(BadInput, match="no text is allowed"):
        of_texts([], 9, 2)
    with pytest.raises(BadInput, match="can be made of the tokens"):
        of_automaton(compiled(parsed("ab")), (b"", b"", b"", b" ", b"a"), 2)
