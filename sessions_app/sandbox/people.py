"""Invented customers: names, numbers and addresses that follow from a language and an index."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sessions_app.sandbox.seeds import mix

NAMES_PER_LANGUAGE: Final = 48

_GIVEN: Final[dict[str, str]] = {
    "en": "Olivia Marcus Priya Hannah Desmond Claire Tobias Naomi Gareth Ruth Kwame Edith",
    "es": "Lucía Mateo Carmen Joaquín Rocío Álvaro Inés Hugo Marisol Íñigo Pilar Nicolás",
    "de": "Anneliese Jürgen Käthe Lukas Svenja Björn Heike Matthias Gülay Ulrich Frauke Emre",
    "fr": "Élodie Gaspard Maëlle François Noémie Théo Agnès Yannick Zoé Benoît Léa Raphaël",
    "pt": "João Beatriz Gonçalo Inês Thiago Conceição Rui Letícia Otávio Mônica Tomás Luísa",
    "ja": "美咲 健太 陽子 拓也 由美 大輔 さくら 直樹 恵子 翔 千尋 修",
    "ar": "ليلى يوسف مريم خالد هدى سامر نور طارق رانيا فادي سلمى عمر",
}
_FAMILY: Final[dict[str, str]] = {
    "en": "Whitfield O'Connor Raman Bexley Achebe Lindqvist Marsh Fairbairn Okafor Pell Sutcliffe Novak",
    "es": "Ibáñez Quiroga Peñalver Montoya Céspedes Larrañaga Ríos Valverde Zúñiga Barroso Olmedo Gálvez",
    "de": "Weißhaupt Krüger Brückner Öztürk Scholl Hägele Pfister Löwe Yıldız Reuß Dietz Grabowski",  # noqa: RUF001 - the name is spelt so
    "fr": "Lefèvre Bélanger Duprée Gauthier Marchand Lemoine Rivière Chevallier Péron Vasseur Hébert Colin",
    "pt": "Magalhães Nóbrega Carvalhal Simões Falcão Guimarães Brandão Assunção Vilela Moura Teixeira Leitão",
    "ja": "佐々木 高橋 渡辺 小川 森田 藤井 岡本 石川 中島 前田 阿部 松本",
    "ar": "الحداد النجار الخطيب القاسم البستاني العطار الشامي الكيلاني الرفاعي الصباغ السعدي المالكي",
}
_STEP: Final = 7919
_BACK: Final = pow(_STEP, -1, 10**7)
# A short range kept for fiction or tests where the country has one, then a wide one for large sandboxes.
_NUMBERS: Final[dict[str, tuple[tuple[str, int, str], ...]]] = {
    "en": (
        ("+1415555", 4, "+1555"),
        ("+447700900", 3, "+447709"),
        ("+6149157", 4, "+6149"),
        ("+1212555", 4, "+1557"),
    ),
    "es": (("+3460000", 4, "+3460"), ("+525555000", 3, "+52555")),
    "de": (("+493023125", 3, "+4915"), ("+43720001", 3, "+4367"), ("+41860799", 3, "+4179")),
    "fr": (("+33639980", 3, "+336"), ("+32455512", 3, "+324")),
    "pt": (("+35193000", 4, "+35193"), ("+551155550", 3, "+5511")),
    "ja": (("+81900000", 4, "+8190"),),
    "ar": (("+97150000", 4, "+97150"), ("+20100000", 4, "+2010")),
}
_DOMAINS: Final = ("example.com", "example.org", "example.net", "mail.example")
_LETTERS: Final = str.maketrans("áàâãäåçéèêëíìîïñóòôõöúùûüýÿšžıÁÉÍÓÚ", "aaaaaaceeeeiiiinooooouuuuyysziAEIOU")


@dataclass(frozen=True, slots=True)
class Person:
    """Who is at the other end of a session."""

    name: str
    number: str
    email: str
    external_id: str
    sip_uri: str


@lru_cache(maxsize=1024)
def name_of(language: str, place: int) -> str:
    """One of the 48 names of a language."""
    given, family = _GIVEN[language].split(), _FAMILY[language].split()
    first, last = given[place % 12], family[(place * 5 + place // 12) % 12]
    return f"{last} {first}" if language == "ja" else f"{first} {last}"


@lru_cache(maxsize=1024)
def _latin(name: str) -> str:
    """The part of an address made of a name, as far as it can be written in ASCII."""
    letters = name.lower().translate(_LETTERS)
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())[:14]


def number_of(language: str, index: int) -> str:
    """An E.164 number; the first thousand people of a language have one of a short range."""
    ranges = _NUMBERS[language]
    short, digits, wide = ranges[index % len(ranges)]
    if index < 1000:
        return f"{short}{index * 37 % 10**digits:0{digits}d}"
    return f"{wide}{index * _STEP % 10**7:07d}"


def person(language: str, index: int) -> Person:
    name = name_of(language, index % NAMES_PER_LANGUAGE)
    code = mix(index, 7) & 0xFFFFFF
    local = f"{_latin(name) or language + '.guest'}{index}"
    return Person(
        name=name,
        number=number_of(language, index),
        email=f"{local}@{_DOMAINS[code % 4]}",
        external_id=f"CRM-{language.upper()}-{index:06d}",
        sip_uri=f"sip:{local}@voice.{_DOMAINS[code % 3]}",
    )


def indexes_of(field: str, value: str) -> set[int]:
    """Indexes of the people who may have this number, email or externalId, in any language."""
    if field == "number":
        wide = int(value[-7:]) * _BACK % 10**7 if value[-7:].isdigit() else 0
        return {*(i for i in range(1000) for speaks in _NUMBERS if number_of(speaks, i) == value), wide}
    digits = re.search(r"(\d+)$", value.partition("@")[0])
    return {int(digits[1])} if digits else set()
