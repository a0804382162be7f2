"""Every code means what it is used for, every entry has its words in every language."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest
from pydicom.sr import _concepts_dict

from sagittal.report.code import PRIVATE_SCHEME, Concept
from sagittal.report.finding import Kind
from sagittal.report.names import DEFAULT, document, languages, names, site_names
from sagittal.report.vocabulary import EXAMS, concept, observation, observations, site, sites, within

OPTIONAL = {"done", "placed", "negation_near", "negation_pseudo", "formerly"}
"""Cues that a language may do without."""

SHARED = (
    {"pneumothorax", "pleural_effusion"},
    {"mass", "intra_axial_mass"},
    {"consolidation", "pneumonia"},
)
"""Pairs that one word may mean: both at once, or one by the region of the body."""

GIVEN = {
    "nodule": "SCT 27925004",
    "mass": "SCT 4147007",
    "opacity": "DCM 112001",
    "interstitial_pattern": "DCM 112004",
    "pulmonary_oedema": "SCT 19242006",
    "miliary_pattern": "DCM 112129",
    "pleural_effusion": "SCT 60046008",
    "pneumothorax": "SCT 36118008",
    "pneumomediastinum": "SCT 16838000",
    "endotracheal_tube": "SCT 26412008",
    "central_line": "DCM 112174",
    "feeding_tube": "SCT 25062003",
    "chest_tube": "DCM 112173",
    "pacemaker": "SCT 14106009",
    "ground_glass_opacity": "DCM 112120",
    "septal_thickening": "DCM 112114",
    "reticulation": "DCM 112113",
    "honeycombing": "DCM 112106",
    "mosaic_attenuation": "DCM 112130",
    "tree_in_bud": "DCM 112127",
    "lymphadenopathy": "SCT 30746006",
    "pericardial_effusion": "SCT 373945007",
    "pulmonary_embolism": "SCT 59282003",
    "aortic_aneurysm": "SCT 67362008",
}
"""The codes the clinical rules give for the first 64."""

DICTIONARY: dict[tuple[str, str], set[str]] = defaultdict(set)
for _scheme in ("DCM", "SCT"):
    for _entries in _concepts_dict.concepts[_scheme].values():
        for _code, (_meaning, _) in _entries.items():
            DICTIONARY[_scheme, _code].add(_meaning)

CONCEPTS = [o.concept for o in observations()] + [s.concept for s in sites()]


def one_meaning(meanings: set[str]) -> bool:
    """One plain name; a fully specified name "… (disorder)" beside it must speak of the same thing."""
    plain = {m for m in meanings if not re.search(r"\([a-z ]+\)$", m)}
    full = meanings - plain
    if len(plain) > 1 or (not plain and len(full) > 1):
        return False
    name = next(iter(plain or full)).lower()
    return all(
        any(word[:4] in name for word in re.findall(r"[a-z]{3,}", text.lower()) if word != "structure")
        for text in full
    )


def test_it_is_large_enough_for_a_department() -> None:
    assert len(observations()) >= 200 and len(sites()) >= 150
    assert {o.kind for o in observations()} == set(Kind)
    assert {e for o in observations() for e in o.exams} == set(EXAMS)


@pytest.mark.parametrize("code", languages())
def test_every_language_names_every_entry(code: str) -> None:
    named, placed = names(code), site_names(code)
    assert set(named) == {o.key for o in observations()}
    assert set(placed) == {s.key for s in sites()}
    for entry in observations():
        assert named[entry.key].lay, entry.key
        assert (named[entry.key].plural is None) == (entry.plural is None), entry.key
    for place in sites():
        assert placed[place.key].lay, place.key
        assert ("{side}" in placed[place.key].at) == place.paired, place.key
        assert bool(placed[place.key].both) == bool(place.name().both), place.key


@pytest.mark.parametrize("code", languages())
def test_every_language_has_the_tables_of_english(code: str) -> None:
    """The same tables with the same keys; only English has forms of its own beside them."""
    free = {"attribute_values", "attributes", "units", "fragments", "phrases", "criteria"}
    for table, rows in document(DEFAULT).items():
        assert table in document(code), table
        if isinstance(rows, dict) and table not in free and table not in ("observations", "sites"):
            mine = set(document(code)[table])
            missing = {k for k in set(rows) - mine - OPTIONAL if not k.endswith(("_counted", "_uncounted"))}
            assert not missing, f"[{table}] lacks {missing}"


@pytest.mark.parametrize("found", CONCEPTS, ids=lambda c: c.key)
def test_every_code_is_looked_up(found: Concept) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", found.key)
    if found.scheme == PRIVATE_SCHEME:
        assert found.code == found.key
        return
    meanings = DICTIONARY[found.scheme, found.code]
    assert found.meaning in meanings, f"{found} is not in pydicom's dictionary"
    assert one_meaning(meanings), f"{found} has several meanings: {meanings}"


def test_the_lookup_rejects_codes_with_two_meanings() -> None:
    assert not one_meaning(DICTIONARY["SCT", "287272002"])
    assert not one_meaning(DICTIONARY["SCT", "1386000"])


def test_codes_are_those_the_clinical_rules_give() -> None:
    for key, code in GIVEN.items():
        assert f"{concept(key).scheme} {concept(key).code}" == code


def test_codes_and_keys_are_unique() -> None:
    pairs = Counter((c.scheme, c.code) for c in CONCEPTS)
    assert max(pairs.values()) == 1
    assert len({o.key for o in observations()}) == len(observations())
    assert len({s.key for s in sites()}) == len(sites())


def test_a_word_means_one_observation() -> None:
    owner: dict[str, str] = {}
    for entry in observations():
        name = entry.name()
        words = {name.term, name.plural, *name.synonyms, *name.abbreviations} - {None}
        for word in words:
            known = owner.setdefault(str(word), entry.key)
            pair = {known, entry.key}
            shared = pair in SHARED
            assert known == entry.key or shared, f"{word!r} means {known} and {entry.key}"


def test_references_inside_the_vocabulary_resolve() -> None:
    for entry in observations():
        assert entry.sites and all(site(key) for key in entry.sites)
        assert all(observation(key).kind is Kind.OBSERVATION for key in entry.support)
        assert bool(entry.support) == (entry.kind is Kind.INFERENCE)
        assert entry.actionable in (None, 1, 2, 3)
        for pattern in entry.name().patterns:
            re.compile(pattern)
    for place in sites():
        assert place.part_of is None or site(place.part_of)


def test_part_of() -> None:
    assert within("lingula", "lung") and within("rib", "chest") and not within("rib", "lung")


def test_label_sets_are_covered() -> None:
    assert len({o.ct_rate for o in observations()} - {None}) == 18
    # CheXpert's 14 less "No Finding", which is the absence of the others.
    assert len({o.chexpert for o in observations()} - {None}) == 13


def test_an_unknown_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        concept("unicorn")
