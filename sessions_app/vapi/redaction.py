"""Owns which parts of a remote payload are secrets and blanks them at any depth; must not know who stores it.

Redaction is by name, because Vapi's schema is recursive: a key that ends in a secret's name loses its value
wherever it stands, also in JSON that is quoted inside a string (tool calls carry their arguments so). Shapes
and keys stay, so that a reader still sees what was there; '' and null stay, because nothing was there.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import unquote

from sessions_app.vapi.json import BadJson, dump_payload, parse_json
from sessions_app.vapi.text import make_safe

T = TypeVar("T")
_Kind = Literal["", "secret", "variables", "parameters"]
# An object or list, the place of the node that it is in, and its key or index there; the root is at place 0.
_Node = tuple[Any, int, Any]
# The place of a node, a key or index in it, and what is to stand there.
_Change = tuple[int, Any, Any]

REDACTED = "[redacted]"

# Names as `_normalize` writes them. A longer key that ends in one of them counts as well: xApiKey,
# client_secret, and of Vapi's own schema twilioAuthToken, serverUrlSecret, hmacAccessKey and the like.
_SECRET_ENDINGS = (
    "apikey",
    "openaikey",
    "subscriptionkey",
    "accesskey",
    "accesskeyid",
    "privatekey",
    "privatekeyid",
    "secretkey",
    "secret",
    "token",
    "password",
    "passphrase",
    "webhookurl",
    "authorization",
    # Whole maps: server.headers, model.headers, sipHeaders.
    "headers",
)
_VARIABLES_ENDING = "environmentvariables"
_PARAMETERS = "parameters"
# They only look alike; no ending above may ever take them.
_KEEP = frozenset(
    {
        "prompttokens",
        "completiontokens",
        "cachedprompttokens",
        "reasoningtokens",
        "maxtokens",
        "budgettokens",
        "tokencount",
        "tokenuri",
        "secretisbase64",
    }
)
_HARMLESS_TYPES = frozenset({type(None), bool, int, float, Decimal})
_MOST_LEVELS = 400
_NAMING_KEYS = frozenset({"name", "key", "id", "type", "title", "description"})
_QUERY_ENDINGS = ("signature", "credential")
_QUERY_NAMES = frozenset({"sig", "key", "auth", "jwt", "hmac"})

# A slash of an address may be escaped, in JSON that is quoted inside a text or was cut off there.
_URL = re.compile(r"""(:(?:\\?/){2})(?:([^\s"'<>\\/?#]*)@)?((?:[^\s"'<>\\]|\\/)*)""")
_QUERY = re.compile(r"([?&;#])([^=&;#]*)=([^&;#]*)")
_SIP_PASSWORD = re.compile(r"(sips?:[^\s:@/;?<>\"]+:)([^\s:@/<>\"]+)(?=@)", re.IGNORECASE | re.ASCII)
# Inside text that is no JSON as a whole: cut off, or with words around it.
_QUOTED_PAIR = re.compile(
    r'"([A-Za-z0-9_ \-]{1,80})(\\{0,15}"[ \t\r\n]*:[ \t\r\n]*\\{0,15}")((?:[^"\\]|\\(?!\\{0,15}"))+)'
)

# The look at the whole body: lower case, without what may stand in or after a key in some spelling only. Line
# breaks and tabs in JSON that is quoted inside a string leave an n, r or t behind, so those letters go as well.
_LOWER = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
_DROPPED = b"_-\\ \t\r\nnrtNRT"
_NORMAL = {byte: chr(byte + 32) for byte in range(65, 91)} | dict.fromkeys(map(ord, "_- "))


def _squeeze(text: bytes) -> bytes:
    return text.translate(_LOWER, _DROPPED)


def _telltale_keys() -> re.Pattern[bytes]:
    """Built so that most keys fail at a look at their last three letters."""
    endings = [_squeeze(ending.encode()) for ending in (*_SECRET_ENDINGS, _VARIABLES_ENDING)]
    parameters = _squeeze(_PARAMETERS.encode())
    letters = [
        b"[%s]" % bytes({ending[place] for ending in (*endings, parameters)}) for place in (-3, -2, -1)
    ]
    looks = b"|".join(b'(?<=%s":)' % ending for ending in endings)
    return re.compile(b'":(?<=%s":)(?:%s|(?<=%s":)\\[)' % (b"".join(letters), looks, parameters))


_TELLTALE_KEY = _telltale_keys()
# A letter of a key (or the colon of a URL) may itself be written as an escape.
_ESCAPED_ASCII = b"\\u00"


def may_hold_secrets(body: bytes) -> bool:
    """A cheap look at a JSON text: False only if `redact` would change nothing in it."""
    # Most pages hold an address, and most of those are written plainly.
    return b"://" in body or _may_hold_secrets(body, _squeeze(body))


def _may_hold_secrets(body: bytes, squeezed: bytes) -> bool:
    return b"://" in squeezed or b"sip" in squeezed or _ESCAPED_ASCII in body or _names_a_secret(squeezed)


def _names_a_secret(squeezed: bytes) -> bool:
    return _TELLTALE_KEY.search(squeezed) is not None


def redact(value: T) -> T:
    """The same JSON value with every secret replaced by `REDACTED`. What is given is not changed.

    Parts in which there is nothing to replace are not copied: they are the given ones.
    """
    clean: T = _redact(value)
    return clean


def _redact(value: Any) -> Any:
    if isinstance(value, str):
        # Where nothing was found it is still the given one.
        return clean if ":" in value and (clean := _redact_text(value)) != value else value
    return _redact_tree(value) if isinstance(value, dict | list) else value


def _redact_tree(root: Any) -> Any:
    nodes: list[_Node] = [(root, 0, None)]
    texts: list[_Change] = []
    changes: list[_Change] = []
    for place, (node, _, _) in enumerate(nodes):
        if isinstance(node, dict):
            _look_into_object(node, place, nodes, texts, changes)
        else:
            _look_into_list(node, place, nodes, changes)
    if len(nodes) > _MOST_LEVELS:
        _check_depth(nodes)
    if texts:
        changes.extend(_redact_texts(texts))
    return _with_changes(nodes, changes) if changes else root


def _look_into_object(
    node: dict[str, Any], place: int, nodes: list[_Node], texts: list[_Change], changes: list[_Change]
) -> None:
    """The hot loop: most values are texts without a colon under keys that name no secret."""
    for key, inner in node.items():
        if key not in _PLAIN_KEYS and _is_telling(key):
            changes.append((place, key, _redact_entry(key, inner)))
        elif type(inner) is str:
            if ":" in inner:
                texts.append((place, key, inner))
        elif type(inner) is dict or type(inner) is list:
            nodes.append((inner, place, key))
        elif type(inner) not in _HARMLESS_TYPES:
            changes.append((place, key, _redact(inner)))


def _look_into_list(node: list[Any], place: int, nodes: list[_Node], changes: list[_Change]) -> None:
    for index, inner in enumerate(node):
        if type(inner) is dict or type(inner) is list:
            nodes.append((inner, place, index))
        elif type(inner) not in _HARMLESS_TYPES:
            changes.append((place, index, _redact(inner)))


def _redact_texts(texts: list[_Change]) -> Iterator[_Change]:
    """One look at all texts that hold quotes, as tools' arguments do, costs little more than a look at one."""
    quoted = _may_hold_secrets_inside([text for _, _, text in texts if '"' in text])
    for place, key, text in texts:
        if quoted if '"' in text else _has_address(text) or "@" in text:
            yield place, key, _redact_text(text)


def _may_hold_secrets_inside(texts: list[str]) -> bool:
    body = _bytes_of("\n".join(texts))
    return bool(body) and _may_hold_secrets(body, _squeeze(body))


def _check_depth(nodes: list[_Node]) -> None:
    """What stands so deep is refused: whoever follows a record level by level runs out of stack there."""
    # No node stands deeper than the last.
    place = len(nodes) - 1
    for _ in range(_MOST_LEVELS):
        place = nodes[place][1]
    if place:
        raise RecursionError


def _with_changes(nodes: list[_Node], changes: list[_Change]) -> Any:
    copies: dict[int, Any] = {}
    for place, key, new in changes:
        old = nodes[place][0][key]
        if new is not old and new != old:
            _copy_of(place, nodes, copies)[key] = new
    return copies.get(0, nodes[0][0])


def _copy_of(place: int, nodes: list[_Node], copies: dict[int, Any]) -> Any:
    """A node's copy, which stands in the copy of the node that it is in, and so on up to the root."""
    if place not in copies:
        node, parent, key = nodes[place]
        copies[place] = node.copy()
        if place:
            _copy_of(parent, nodes, copies)[key] = copies[place]
    return copies[place]


def _redact_entry(key: str, value: Any) -> Any:
    kind = _KINDS[key]
    if kind == "secret":
        return _blank(value)
    # A tool's parameters are secrets as a list of key and value; as an object they are its JSON schema.
    if kind == "variables" or isinstance(value, list):
        return _blank_values(value)
    return _redact(value)


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _blank(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_blank(inner) for inner in value]
    return value if value is None or value == "" else REDACTED


def _blank_values(value: Any) -> Any:
    if not isinstance(value, list):
        return _blank(value)
    return [_blank_value(entry) if isinstance(entry, dict) else _blank(entry) for entry in value]


def _blank_value(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _redact(inner) if _normalize(key) in _NAMING_KEYS else _blank(inner)
        for key, inner in entry.items()
    }


def _normalize(key: str) -> str:
    return key.translate(_NORMAL)


def _kind_of(key: str) -> _Kind:
    name = _normalize(key)
    if name in _KEEP:
        return ""
    if name.endswith(_SECRET_ENDINGS):
        return "secret"
    if name.endswith(_VARIABLES_ENDING):
        return "variables"
    return "parameters" if name == _PARAMETERS else ""


class _Kinds(dict[str, _Kind]):
    """What each key names; learns as it goes, and begins anew where somebody uses values as keys."""

    def __missing__(self, key: str) -> _Kind:
        if len(self) >= _MOST_KEYS:
            self.clear()
        kind = self[key] = _kind_of(key)
        return kind


_MOST_KEYS = 4096
_KINDS = _Kinds()
# Those of them that name nothing: a look into a set is the quickest there is.
_PLAIN_KEYS: set[str] = set()


def _is_telling(key: str) -> bool:
    if _KINDS[key]:
        return True
    if len(_PLAIN_KEYS) >= _MOST_KEYS:
        _PLAIN_KEYS.clear()
    _PLAIN_KEYS.add(key)
    return False


def _redact_text(text: str) -> str:
    """For texts with a colon: without one there is neither an address nor a key with its value."""
    if '"' in text:
        text = _redact_quoted(text)
    if ("@" in text or "=" in text) and _has_address(text):
        text = _URL.sub(_fix_url, text)
    # Lower case is made of few texts only: it costs as much as all the other looks.
    return _SIP_PASSWORD.sub(rf"\1{REDACTED}", text) if "@" in text and "sip" in text.lower() else text


def _redact_quoted(text: str) -> str:
    """Keys and values inside a text: in JSON, or in what was JSON before it was cut or put among words."""
    squeezed = _squeeze(body := _bytes_of(text))
    if text.lstrip()[:1] in ("{", "[") and _may_hold_secrets(body, squeezed):
        text = _redact_quoted_json(text)
        squeezed = _squeeze(_bytes_of(text))
    return _QUOTED_PAIR.sub(_fix_pair, text) if _names_a_secret(squeezed) else text


def _bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _redact_quoted_json(text: str) -> str:
    try:
        inner = parse_json(text)
    except BadJson:
        return text
    clean = _redact(inner)
    # A surrogate that stood there as an escape cannot be written as a character.
    return text if clean == inner else dump_payload(make_safe(clean)[0])


def _fix_pair(match: re.Match[str]) -> str:
    key, between, _ = match.groups()
    return f'"{key}{between}{REDACTED}' if _KINDS[key] == "secret" else match.group()


def _has_address(text: str) -> bool:
    return "://" in text or ":\\/" in text


def _fix_url(match: re.Match[str]) -> str:
    slashes, user, rest = match.groups()
    shown = "" if user is None else f"{REDACTED if user else ''}@"
    return f"{slashes}{shown}{_QUERY.sub(_fix_query, rest) if '=' in rest else rest}"


def _fix_query(match: re.Match[str]) -> str:
    delimiter, name, value = match.groups()
    return f"{delimiter}{name}={REDACTED}" if value and _is_secret_parameter(name) else match.group()


@lru_cache(maxsize=1024)
def _is_secret_parameter(name: str) -> bool:
    plain = _normalize(unquote(name)).removeprefix("amp;")
    return plain in _QUERY_NAMES or plain.endswith(_QUERY_ENDINGS) or _KINDS[plain] == "secret"
