"""Postal addresses as six countries write them, and what follows a word that says one comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sagittal.privacy.found import Found
from sagittal.privacy.people import LOWER, UPPER

_WORD = rf"[{UPPER}][{LOWER}'’]{{1,30}}+(?:-[{UPPER}]?[{LOWER}]{{1,30}}+){{0,4}}"
_PART = rf"(?:{_WORD}|(?:St|Dr|Gral|Gen|Col|Cap|Pte|Mar|Mt|[{UPPER}])\.)"
_NUMBER = r"\d{1,5}\s?[A-Za-z]?(?:\s?[-/]\s?\d{1,4}[A-Za-z]?)?(?![\w])"
_NO_UNIT = r"(?!\s{0,2}(?:mm|cm|ml|mL|x|×|%|HU|mSv|mGy)\b)"
_CITY = (
    rf"{_WORD}(?:[ ](?:{_WORD}|(?:am|an[ ]der|im|ob[ ]der|de|la|le|sur|del|di|of|upon)[ ]{_WORD}|d['’]{_WORD})){{0,2}}"  # noqa: E501
    r"(?:\s\([A-Z]{2}\))?"
)
_CODE = r"(?:(?:D|CH|A|F|I|E|TR)-)?\d{4,5}(?:-\d{4})?"
_TOWN = rf"(?:{_CODE},?\s{_CITY}|{_CITY},\s{_CODE}(?!\d))"
_FLAT = (
    r"(?:,?\s(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Appartamento|Piano|Interno|Piso|Planta|Puerta|Esc|Appt|Bât|Étage)\.?"
    r"\s{0,2}#?\w{1,6})?\s?"
)
_OF = r"(?:\s(?:de|du|des|la|le|les|à|aux?|en|sur|del|las|los|di|della|dei|delle|degli|y)|\s?(?:d|l|dell)['’]){0,3}"  # noqa: E501
_STREETS = rf"(?:{_OF}\s?{_PART}){{1,4}}"
_US_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Court|Way|Place|Square|Sq|Terrace|Crescent|Close|Highway|"
    "Hwy|Parkway|Pkwy|Gardens|Mews"
)
_FR_STREET = (
    "rue|avenue|av\\.|boulevard|bd|bld|place|chemin|route|allée|impasse|quai|cours|square|passage|faubourg"
)
_ES_STREET = (
    "C/|c/|Calle|Callejón|Avda\\.?|Avenida|Av\\.|Plaza|Pza\\.|Paseo|Pº|Pasaje|Pasadizo|Ctra\\.?|Carretera|Camino|Ronda|Travesía|"
    "Glorieta|Urb\\.|Urbanización|Rambla|Cañada|Vial|Cuesta"
)
_IT_STREET = "Via|Viale|V\\.le|Piazza|P\\.zza|Piazzale|Corso|C\\.so|Largo|Vicolo|Strada|Lungotevere|Contrada|Borgo|Incrocio|Rotonda"  # noqa: E501
_TR_STREET = "Caddesi|Cad\\.?|Cd\\.|Sokağı|Sokak|Sok\\.?|Sk\\.|Bulvarı|Blv\\."
_ADDRESSES = tuple(
    re.compile(pattern)
    for pattern in (
        # 123 N. Main Street, Apt. 4B, Springfield, IL 62704; 1 High Street, London SW1A 1AA
        rf"(?<![\w.,/-])\d{{1,5}}[A-Z]?\s(?:(?:[NSEW]\.?|North|South|East|West)\s)?(?:{_PART}\s){{1,4}}"
        rf"(?:(?:{_US_STREET})\b\.?|Dr\b\.?(?=,|\s*$)){_FLAT}(?:,\s{_CITY})?"
        r"(?:,?\s[A-Z]{2},?\s\d{5}(?:-\d{4})?|,?\s[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}\b)?",
        rf"(?<![\w.,/-])\d{{1,6}}\s(?:{_PART}\s?){{1,4}}{_FLAT},\s{_CITY},\s[A-Z]{{2}}\s\d{{5}}(?:-\d{{4}})?",
        r"(?<![\w.,/-])\d{1,5}\s(?:[A-Z]{3,20}\s){1,3}(?:STREET|AVENUE|ROAD|BOULEVARD|LANE|DRIVE)\b"
        r"(?:,\s[A-Z ]{3,30})?(?:,?\s[A-Z]{2}\s\d{5})?",
        r"\bP\.?\s?O\.?\s?Box\s\d{1,6}|\bPostfach\s\d{1,6}|\bApartado(?:\sde\sCorreos)?\s\d{1,6}",
        # Musterstraße 12a, 10115 Berlin; Am Hang 3, 8001 Zürich; other ways and squares need the town
        rf"(?<![\w-])(?:{_WORD}[\s-]){{0,2}}(?:[{UPPER}][{LOWER}ß-]{{1,30}}?(?:straße|strasse|str\.|gasse|allee)"
        rf"|(?:Straße|Strasse|Str\.|Gasse|Allee))\s{{0,2}}{_NUMBER}{_NO_UNIT}(?:,?\s{{1,3}}{_TOWN})?",
        rf"(?<![\w-])[{UPPER}][{LOWER}{UPPER}ß.-]{{1,60}}?(?:[Ww]eg|[Pp]latz|[Rr]ing|[Uu]fer|[Dd]amm|[Ss]teig|[Gg]raben|[Mm]arkt|[Hh]of)"
        rf"\s{_NUMBER},?\s{{1,3}}{_TOWN}",
        rf"(?<![\w-])(?:Am|An\sder|Im|In\sder|Auf\sde[rm]|Unter\sden|Zum|Zur)\s{_WORD}\s{_NUMBER},\s{_TOWN}",
        # 12 bis, rue de la Paix, 75002 Paris; rue Brun, 68318 Thierry
        rf"(?<![\w.,/-])\d{{1,4}}(?:\s?(?:bis|ter|quater))?,?\s(?i:{_FR_STREET}){_STREETS}(?:,?\s{{1,3}}{_TOWN})?",
        rf"(?<![\w-])(?i:{_FR_STREET}){_STREETS},\s{_TOWN}",
        # Calle de Alcalá 45, 3º B, 28014 Madrid
        rf"(?<![\w-])(?:{_ES_STREET}){_STREETS},?\s{{0,2}}(?:n[.º°úm]{{1,3}}\.?\s?)?{_NUMBER}{_NO_UNIT}"
        rf"(?:,?\s\d{{1,2}}[.º°ª]{{1,2}}\s?(?:[A-Z]|dcha|izda|izq)?\.?)?{_FLAT}(?:,?\s{{1,3}}{_TOWN})?",
        # Via Giuseppe Verdi 12, 20121 Milano (MI)
        rf"(?<![\w-])(?:{_IT_STREET}){_STREETS},?\s{{0,2}}(?:n\.?\s?)?{_NUMBER}{_NO_UNIT}{_FLAT}(?:,?\s{{1,3}}{_TOWN})?",
        # Atatürk Mahallesi, Cumhuriyet Caddesi No: 12 Daire: 5, 34000 Kadıköy/İstanbul
        rf"(?<![\w-])(?:{_WORD}\s){{1,3}}(?:Mahallesi|Mah\.?|{_TR_STREET})(?![\w])"
        rf"(?:,?\s(?:(?:{_WORD}|\d{{1,5}}\.?)\s){{0,3}}(?:{_TR_STREET}|Apartmanı|Apt\.?)(?![\w])){{0,3}}"
        rf"(?:,?\s{{0,2}}(?:No|Kat|Daire|D|K)\s?[:.]\s?\d{{1,4}}(?:/\d{{1,4}})?[A-Z]?){{0,4}}"
        rf"(?:,?\s{{1,2}}\d{{5}})?(?:,?\s{_WORD}\s?/\s?{_WORD})?",
        rf"(?<![\w.,-])(?:D|CH|A|F|I|E|TR)-\d{{4,5}}\s{_CITY}",
    )
)
_SAID = re.compile(
    r"(?<![\w-])(?:(?:(?:home|postal|mailing)\s)?address|anschrift|adresse|dirección|domicilio|indirizzo|adres(?:i)?)\s?:\s?"
    r"(?P<line>[^\n;]{3,120})"
    r"|(?<![\w-])(?:wohnhaft\sin|(?:lives|living|resides|residing)\s(?:at|in)|demeurant(?:\s(?:à|au))?|domiciliée?\s(?:à|au)|"
    r"residente\s(?:in|a|en)|ikamet\seden\s?:?)\s"
    rf"(?P<place>[^\n;.\d]{{0,60}}+\d[^\n;.]{{0,100}}+(?:(?:(?<=\bSt)|(?<=\bApt))\.[^\n;.]{{0,60}}+)?|(?:{_CODE}\s)?{_CITY})",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(rf"(?<=[{LOWER}\d]{{3}})\.(?=\s+[{UPPER}]|\s*$)")


def addresses(text: str) -> Iterator[Found]:
    """Streets with a number, as far as the town; boxes; what stands after "Address:" or "lives in"."""
    for pattern in _ADDRESSES:
        for match in pattern.finditer(text):
            yield _address(match.start(), match[0])
    for match in _SAID.finditer(text):
        if match["place"]:
            if match["place"][0].isupper() or match["place"][0].isdigit():
                yield _address(match.start("place"), match["place"])
        else:
            line = _SENTENCE_END.split(match["line"], maxsplit=1)[0]
            if any(c.isdigit() for c in line):
                yield _address(match.start("line"), line)


def _address(start: int, text: str) -> Found:
    kept = text.rstrip(" ,.")
    return Found(start, start + len(kept), "ADDRESS", kept)
