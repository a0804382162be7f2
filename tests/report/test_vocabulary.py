"""Every code means what it is used for, every entry has its words in every language."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from pydicom.sr import _concepts_dict

from sagittal.report.code import PRIVATE_SCHEME, Concept
from sagittal.report.finding import Kind
from sagittal.report.language import language
from sagittal.report.names import DEFAULT, document, languages, names, site_names
from sagittal.report.vocabulary import (
    EXAMS,
    concept,
    observation,
    observations,
    regions,
    root,
    site,
    sites,
    within,
)

OPTIONAL = {
    "cause",
    "done",
    "placed",
    "negation_near",
    "negation_pseudo",
    "formerly",
    "right",
    "dictated",
    "not_dictated",
}
"""Cues that a language may do without."""

TWO_AT_ONCE = {"hydropneumothorax", "seropneumothorax", "pneumonic consolidation"}
"""Words that name two things that are both there."""
BY_REGION = {"edema", "hematoma", "hernia", "herniation", "parenchymal mass"}
"""Words that name one thing or another, by the region of the body that the report is about."""
REGIONS = {
    "abdomen",
    "body",
    "breast",
    "chest",
    "head",
    "lower_limb",
    "neck",
    "pelvis",
    "spine",
    "upper_limb",
}

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


@pytest.mark.parametrize("code", languages())
def test_a_word_means_one_observation(code: str) -> None:
    spoken = language(code)
    owners: dict[str, set[str]] = defaultdict(set)
    for key, name in spoken.names.items():
        for word in {name.term, name.plural, *name.synonyms, *name.forms.values()} - {None}:
            owners[" ".join(map(spoken.norm, re.findall(r"\w+", str(word))))].add(key)
        for short in name.abbreviations:
            owners[short].add(key)
    shared = {word for word, keys in owners.items() if len(keys) > 1}
    assert shared <= TWO_AT_ONCE | BY_REGION, {word: owners[word] for word in shared}


def test_a_shared_word_is_told_apart_by_region() -> None:
    """Each of its meanings but the first has a region of its own."""
    spoken = language()
    for word in BY_REGION & spoken.weak:
        keys = [k for k, n in spoken.names.items() if word in {spoken.norm(s) for s in n.synonyms}]
        assert len(keys) > 1
        for i, key in enumerate(keys[1:], start=1):
            assert regions(key) - frozenset().union(*map(regions, keys[:i])), f"{word}: {key}"


@pytest.mark.parametrize("code", languages())
def test_a_word_means_one_place(code: str) -> None:
    spoken = language(code)
    owners: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for key, place in spoken.sites.items():
        for word in {place.term, place.plural, *place.synonyms} - {None}:
            owners[tuple(map(spoken.norm, re.findall(r"\w+", str(word))))].add(key)
    assert not {word: keys for word, keys in owners.items() if len(keys) > 1}


def test_references_inside_the_vocabulary_resolve() -> None:
    for entry in observations():
        assert entry.sites and all(site(key) for key in entry.sites)
        assert all(observation(key).kind is Kind.OBSERVATION for key in entry.support)
        assert bool(entry.support) == (entry.kind is Kind.INFERENCE)
        assert entry.actionable in (None, 1, 2, 3)
        assert set(entry.exams) <= set(EXAMS) and len(set(entry.exams)) == len(entry.exams)
        assert entry.sex in (None, "F", "M") and entry.laterality in ("sided", "midline", "none")
        assert all(observation(key) is not entry for key in entry.overrides)
        assert not entry.overrides or entry.name().patterns
    for place in sites():
        assert place.part_of is None or site(place.part_of)


def test_places_form_a_tree_below_few_regions() -> None:
    for place in sites():
        path = [place.key]
        while (outer := site(path[-1]).part_of) is not None:
            assert outer not in path, path
            path.append(outer)
        assert place.implies is None or place.paired
    assert {root(place.key) for place in sites()} <= REGIONS
    assert within("lingula", "lung") and within("rib", "chest") and not within("rib", "lung")


def test_what_one_sex_has_is_not_looked_for_in_the_other() -> None:
    only = {"F": ("uterus", "ovary"), "M": ("prostate", "testis")}
    for entry in observations():
        for sex, places in only.items():
            if all(any(within(key, place) for place in places) for key in entry.sites):
                assert entry.sex == sex, entry.key


def test_mesh_headings_are_those_of_the_reports(shared_data: Path) -> None:
    """A heading, or a heading with one of its qualifiers; those used ten times or more are covered."""
    headings: Counter[str] = Counter()
    qualified: set[str] = set()
    with (shared_data / "openi_reports/indiana_reports.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            for term in row["MeSH"].split(";"):
                heading, *qualifiers = (part.strip() for part in term.split("/"))
                headings[heading] += 1
                qualified |= {f"{heading}/{qualifier}" for qualifier in qualifiers}
    used = {heading for entry in observations() for heading in entry.mesh}
    assert used <= headings.keys() | qualified, used - headings.keys() - qualified
    covered = {heading.partition("/")[0] for heading in used}
    frequent = {heading for heading, count in headings.items() if count >= 10}
    assert frequent - covered == {
        *("normal", "No Indexing", "Technical Quality of Image Unsatisfactory"),  # no findings
        *("Deformity", "Lucency", "Heart", "Epicardial Fat"),  # too general, or of no consequence
    }


def test_label_sets_are_covered() -> None:
    assert len({o.ct_rate for o in observations()} - {None}) == 18
    # CheXpert's 14 less "No Finding", which is the absence of the others.
    assert len({o.chexpert for o in observations()} - {None}) == 13


def test_an_unknown_key_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        concept("unicorn")
