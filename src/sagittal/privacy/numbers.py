"""Numbers that name a person: identifiers of hospitals and states, telephones; addresses in the net."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sagittal.privacy.found import Found, Kind

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++){1,8}")
_URL = re.compile(
    r"\b(?:https?|ftp)://[^\s<>\"')\]]++|\bwww\.[^\s<>\"')\]]++"
    r"|(?<![\w.@-])[\w-]++(?:\.[\w-]++){0,5}?\.(?:com|org|net|edu|gov|health|info|ch|uk|eu)(?:/[^\s<>\"')\]]*+|(?![\w.-]))",
    re.IGNORECASE,
)
_NUMBER_WORD = (
    r"(?P<numbered>\s{0,2}(?:numbers?|nummer|numéro|numero|número|numarası|nosu|code|kod|no|nr|n|num|id)\b\.?"
    r"|\s{0,2}n[°ºo]\.?|\s{0,2}#)?"
)
_LABELS = (
    # English
    r"mrn|medical\s+record|nhs|npi|ssn|acc(?=\s?(?:no|\#|:))"
    r"|(?P<vague>patient|pat|case|chart|account|acct|order|visit|encounter|member|policy|insurance|claim|hospital|study|"
    r"exam|licen[cs]e|serial|device|s/n)(?=\s?(?:numbers?|no|nr|id|\#|:)(?![^\W\d_]))|accession|social\s+security|(?<![\w-])id(?=\W{0,3}\d|\s?:)|pid"
    # German
    r"|(?:patienten|pat\.?|fall|aufnahme|auftrags?|untersuchungs|versicherten|versicherungs|kranken(?:kassen|versicherten)|"
    r"kassen|sozialversicherungs|befund|archiv|röntgen)[\s.-]{0,2}(?:nummer|nr|id|kennung)|ahv|avs|kvnr|versnr"
    # French
    r"|ipp|nir|nda|n[°º]\s?(?:de\s+)?(?:dossier|sécu(?:rité\s+sociale)?|patient|d['’]examen|d['’]accession)|"
    r"numéro\s+(?:de\s+)?(?:dossier|sécurité\s+sociale|patient|d['’]examen)|sécurité\s+sociale|dossier(?=\W{0,3}(?:n|\d|:))"
    # Spanish
    r"|nhc|dni|nie|nuhsa|cip|sip|historia(?:\s+clínica)?(?=\W{0,3}(?:n|\d|:))|seguridad\s+social|nº\s?(?:de\s+)?historia"
    # Italian
    r"|codice\s+(?:fiscale|sanitario|paziente)|tessera\s+sanitaria|nosologico|cartella(?:\s+clinica)?(?=\W{0,3}(?:n|\d|:))|c\.f\."
    # Turkish
    r"|t\.?\s?c\.?\s?(?:kimlik)?(?=\W{0,3}(?:no|kimlik|\d|:))|kimlik|protokol|dosya(?=\W{0,3}(?:no|n|\d|:))|hasta(?=\s?no)|sgk|barkod"
)
_LABELLED = re.compile(
    rf"(?<![\w-])(?:{_LABELS}){_NUMBER_WORD}(?:\s{{0,2}}(?:is|ist|est|es|è)\s)?\s{{0,2}}[:=#]?\s{{0,3}}"
    r"(?P<value>[A-Za-z]{0,6}[-/. ]?\d(?:[\w-]|[./](?=\w)|[ ](?=\d)){1,30}+)",
    re.IGNORECASE,
)
_SHAPES: tuple[re.Pattern[str], ...] = tuple(
    re.compile(rf"(?<![\w.,-]){shape}(?![\w-]|[.,]\d)")
    for shape in (
        r"\d{3}-\d{2}-\d{4}",  # social security, USA
        r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}",  # AHV, Switzerland
        r"[12]\s?\d{2}\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?(?:\d{2}|2[AB])\s?\d{3}\s?\d{3}(?:\s?\d{2})?",  # NIR, France  # noqa: E501
        r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]",  # codice fiscale, Italy
        r"[A-Z]{6} ?\d{2} ?[A-EHLMPRST] ?\d{2} ?[A-Z] ?\d{3} ?[A-Z]",
        r"(?:\d{8}|[XYZ]\d{7})-?[A-HJ-NP-TV-Z]",  # DNI and NIE, Spain
        r"\d{3}[ -]\d{3}[ -]\d{4}",  # NHS, United Kingdom
        r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?",  # IBAN
        r"\d{1,6}(?:\.\d{1,40}){5,20}",  # DICOM UID
        r"[A-Z]{1,5}[-_]?\d{5,20}(?:[-_/]?\d{1,8})?",
        r"(?:[A-Z]{1,5}[-/])?\d{2,4}[-/]\d{5,10}",
        r"\d{2,5}-\d{3}-\d{3,4}",
        r"\d{7,40}",
    )
)
_TELEPHONE_WORD = (
    r"(?:tel[eé]?(?:ph?ones?|fono|fon)?|telefax|tél(?:éphone|écopie)?|fax|phone|ph|mobile?|mobil(?:telefon)?|handy|portable|cell(?:ulare|ulair)?|"
    r"móvil|movil|pager|beeper|bleep|ext(?:ension)?|durchwahl|dw|poste|int(?:erno)?|dahili|gsm|cep|rückruf|call(?:ed)?\s+(?:back\s+)?(?:at|on)|at)"
)
_LABELLED_TELEPHONE = re.compile(
    rf"(?<![\w-]){_TELEPHONE_WORD}\b\.?\s{{0,2}}(?:(?:no|nr|n[°º]|number|numarası)\b\.?)?[\s:#]{{0,3}}"
    r"(?P<value>\+?\(?\d(?:[\d()]|[\s./-]{1,2}(?=[\d(])){2,24}+(?:\s?(?:x|ext\.?)\s?\d{1,6})?)(?![\w])",
    re.IGNORECASE,
)
_FEWEST_DIGITS = {"at": 7}
_SHORT_LINES = frozenset({"pager", "beeper", "bleep", "ext", "extension", "durchwahl", "dw", "poste"})
_TELEPHONES: tuple[re.Pattern[str], ...] = tuple(
    re.compile(rf"(?<![\w.,/-]){shape}(?:\s?(?:x|ext\.?)\s?\d{{1,6}})?(?![\w-]|[.,/]\d)")
    for shape in (
        r"(?:\+|00)\d{1,3}[ .-]?(?:\(0?\d{0,4}\)[ .-]?)?\d{1,4}(?:[ ./-]?\d{1,5}){1,6}",
        r"(?:1[ .-])?(?:\(\d{3}\) ?\d{3}[ .-]|\d{3}[ .-]\d{3}[.-])\d{4}",  # North America
        r"0\d(?:[ .-]?\d{2}){4}",  # France
        r"0\d{2}[ /.-]\d{3}[ .-]\d{2}[ .-]\d{2}",  # Switzerland, and Turkey below
        r"\(?0 ?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{2}[ .-]?\d{2}",
        r"[6789]\d{2}[ .-]\d{2}[ .-]\d{2}[ .-]\d{2}",  # Spain
        r"[67]\d{2}[ -]\d{3}[ -]\d{3}",
        r"3\d{2}[ .-]\d{6,7}|3\d{2}[ .-]\d{3}[ .-]\d{4}",  # Italy
        r"\(0\d{2,4}\)\d{5,8}|\(?0\d{2,4}\)?[ /-]{1,3}\d{3,8}(?:[ -]\d{1,6}){0,3}",  # Germany, Italy
        r"0\d{2,4} \d{3,4} \d{4}",  # United Kingdom
    )
)


def _flexible(identifier: str) -> str | None:
    """A pattern of an identifier, however it is grouped; None for one too short to be told from a number."""
    letters = [c for c in identifier if c.isalnum()]
    if len(letters) < 4 or (len(letters) < 5 and not any(c.isdigit() for c in letters)):
        return None
    between = r"[-\s./_]?" if len(letters) >= 6 else ""
    return between.join(map(re.escape, letters))


def known_identifiers(text: str, identifiers: Sequence[str]) -> Iterator[Found]:
    """Where the header's identifiers stand, grouped in any way. One of three characters or fewer is taken
    out only after a label ("ID 12"): alone it is a number like any other."""
    patterns = {f"known {i}": p for i, one in enumerate(identifiers) if (p := _flexible(one)) is not None}
    for key, pattern in patterns.items():
        unit = r"(?!\s{0,2}(?:mm|cm|ml|HU)\b)" if len(identifiers[int(key.split()[1])]) < 6 else ""
        for match in re.finditer(rf"(?<![^\W_]){pattern}(?![^\W_]){unit}", text, re.IGNORECASE):
            yield Found(match.start(), match.end(), "ID", key)


def _digits(text: str) -> int:
    return sum(c.isdigit() for c in text)


def labelled(text: str) -> Iterator[Found]:
    """Numbers after a label that says what they are."""
    for match in _LABELLED.finditer(text):
        value = match["value"].rstrip(" ./-")
        vague = match["vague"] is not None and match["numbered"] is None
        if _digits(value) >= (4 if vague else 2):
            start = match.start("value")
            yield Found(start, start + len(value), "ID", value)


def shaped(text: str) -> Iterator[Found]:
    """Numbers in the shape of a state's or an insurer's identifiers, or too long to be a measurement."""
    for shape in _SHAPES:
        for match in shape.finditer(text):
            yield Found(match.start(), match.end(), "ID", match[0])


def telephones(text: str) -> Iterator[Found]:
    """Telephone and fax numbers after a word that says so, or in a shape of six countries."""
    for match in _LABELLED_TELEPHONE.finditer(text):
        word = match[0][: match.start("value") - match.start()].strip(" .:#").lower()
        fewest = 3 if word in _SHORT_LINES else _FEWEST_DIGITS.get(word, 5)
        if _digits(match["value"]) >= fewest:
            yield Found(match.start("value"), match.end("value"), "PHONE", match["value"])
    for shape in _TELEPHONES:
        for match in shape.finditer(text):
            if 8 <= _digits(re.split(r"\s?(?:x|ext)", match[0], maxsplit=1)[0]) <= 15:
                yield Found(match.start(), match.end(), "PHONE", match[0])


def net(text: str) -> Iterator[Found]:
    """E-mail addresses and URLs."""
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (("EMAIL", _EMAIL), ("URL", _URL))
    for kind, pattern in kinds:
        for match in pattern.finditer(text):
            end = match.end() - len(match[0]) + len(match[0].rstrip(".,;:"))
            yield Found(match.start(), end, kind, match[0])
