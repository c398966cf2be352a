"""Turns a script (our own short notation) into OpenAI-style messages; knows nothing of sessions."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sessions_app.sandbox.seeds import mix

BUSINESSES = ("dental", "hotel", "internet", "parcels", "bank")

Message: TypeAlias = dict[str, object]

_SLOT = re.compile(r"<(\w+)>")
_PLACES: dict[str, tuple[str, ...]] = {
    "en": ("Harbour Street", "Elm Row", "Station Road", "Mill Lane", "Kingfisher Close", "Old Dock"),
    "es": ("calle del Molino", "avenida del Puerto", "plaza de los Olmos", "calle Luna", "paseo del Río"),
    "de": ("Lindenallee", "Am Mühlbach", "Hafenstraße", "Gartenweg", "Kastanienhof"),
    "fr": ("rue des Tilleuls", "quai du Vieux-Port", "allée des Cerisiers", "rue du Four"),
    "pt": ("rua das Amoreiras", "avenida do Mar", "largo da Fonte", "travessa do Moinho"),
    "ja": ("桜通り二丁目", "港町三丁目", "緑が丘一丁目", "川端町"),
    "ar": ("شارع الزيتون", "شارع الميناء", "حي الياسمين", "شارع النخيل"),
}
_DAYS: dict[str, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi"),
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira"),
    "ja": ("月曜日", "火曜日", "水曜日", "木曜日", "金曜日"),
    "ar": ("الاثنين", "الثلاثاء", "الأربعاء", "الخميس", "الأحد"),
}


@dataclass(frozen=True, slots=True)
class Script:
    """One conversation. Lines: `U:` and `A:` speak, `T: name {arguments} => result` calls a tool.

    `business` is the place in BUSINESSES, `system` the assistant's instructions.
    """

    business: int
    language: str
    title: str
    system: str
    text: str


def read_scripts(business: int) -> list[Script]:
    """A business's scripts: lines `@ language instructions`, then `# language title` before each script."""
    head, *parts = (Path(__file__).parent / f"{BUSINESSES[business]}.txt").read_text("utf-8").split("\n# ")
    systems = dict(line[2:].split(" ", 1) for line in head.strip().splitlines())
    scripts = []
    for part in parts:
        heading, _, text = part.partition("\n")
        language, _, title = heading.partition(" ")
        scripts.append(Script(business, language, title, systems[language], text))
    return scripts


def _slots(script: Script, name: str, reference: str, bits: int) -> dict[str, str]:
    places, days = _PLACES[script.language], _DAYS[script.language]
    hour = 8 + bits % 6
    return {
        "name": name,
        "ref": reference,
        "day": days[bits % 5],
        "otherday": days[(bits + 2) % 5],
        "time": f"{hour:02d}:{'00' if bits & 64 else '30'}",
        "later": f"{hour + 4:02d}:15",
        "place": places[(bits >> 7) % len(places)],
        "house": str(1 + (bits >> 12) % 140),
        "amount": f"{12 + (bits >> 17) % 480}.{(bits >> 26) % 100:02d}",
        "small": f"{3 + (bits >> 33) % 9}.{(bits >> 37) % 10}0",
        "digits": f"{(bits >> 41) % 10000:04d}",
        "count": str(2 + (bits >> 55) % 4),
    }


def write_script(script: Script, name: str, reference: str, bits: int) -> list[Message]:
    """The script's messages with its slots filled for one person."""
    slots = _slots(script, name, reference, mix(bits, 0))
    filled = _SLOT.sub(lambda match: slots.get(match[1], match[0]), script.text)
    messages: list[Message] = [{"role": "system", "content": script.system}]
    for number, line in enumerate(filled.strip().splitlines(), 1):
        mark, _, rest = line.strip().partition(": ")
        messages += (
            _tool_turn(rest, f"call_{bits & 0xFFFFFF:06x}{number:02d}") if mark == "T" else _said(mark, rest)
        )
    return messages


def _said(mark: str, text: str) -> list[Message]:
    return [{"role": {"U": "user", "A": "assistant"}[mark], "content": text}]


def _tool_turn(text: str, call_id: str) -> list[Message]:
    call, result = text.split(" => ", 1)
    name, arguments = call.split(" ", 1)
    json.loads(arguments)  # a script with broken arguments must not get through
    function = {"name": name, "arguments": arguments}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call_id, "name": name, "content": result},
    ]
