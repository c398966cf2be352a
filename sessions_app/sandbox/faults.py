"""Faults on demand: which requests they hit and what they do to an answer; knows no routes and no sockets.

A specification is `KIND:name=value,name=value;KIND:...` - see HELP.
"""

import random
import re
import threading
from dataclasses import asdict, dataclass, field, replace

from sessions_app.sandbox.options import BadOption

HELP = """\
Faults: KIND[:name=value,...][;KIND...]

  429           refuse; retry_after=SECONDS (default 1), date=1 writes Retry-After as an HTTP date, none=1 leaves it out
  400 to 599    answer with this status and Vapi's error envelope; message=TEXT
  twice         carry the request out twice, as a proxy does that tries again, and give the second answer
  timeout       carry the request out, answer seconds=N later (default 60)
  lost          carry the request out, then close the connection without an answer
  reset         carry the request out, send half of the body, then reset the connection
  truncated     send half of the body as if it were all of it
  html200       answer 200 with a proxy's HTML page
  html          the same with status=N (default 502)
  latency       answer ms=N later (default 50)
  empty         lists give no rows, though metadata counts them
  miscount      totalItems of lists is wrong by N (default 1)
  capped        lists give at most limit=N rows (default 100) whatever was asked for
  repeated      lists give rows=N (default 1) of the page before once more, and their own last row twice
  metadata      what lists say of themselves is how=missing, null, wrong or endless (default missing)
  cursor        lists name a nextCursor, and take it: how=keyset (default); refused: they do not take it; ignored:
                it changes nothing; stuck: it names itself; endless: it goes on after the end; skips: it loses a row
  poison        an answer that would hold the row id=ID is an error instead: status=N (default 500), or how=nan

latency, capped and what follows it do not stop other faults.

Which requests: method=GET, path=/session (a prefix; a leading ~ makes it a regular expression, without , and ;),
key=KEY; skip=N leaves the first N out, count=N ends it after N hits, p=0.1 hits that share (seed=N).

Example: 429:count=3,retry_after=2;500:path=/session,p=0.1;lost:method=PATCH,count=1;latency:ms=50
"""
_KINDS = (
    "twice",
    "timeout",
    "lost",
    "reset",
    "truncated",
    "html200",
    "html",
    "latency",
    "capped",
    "empty",
    "miscount",
    "repeated",
    "metadata",
    "cursor",
    "poison",
)
# These change what is found; they are carried out beside others.
SHAPING = ("capped", "repeated", "metadata", "cursor", "poison")
_BESIDE = ("latency", *SHAPING)
_HOWS = {
    "metadata": ("missing", "null", "wrong", "endless"),
    "cursor": ("keyset", "refused", "ignored", "stuck", "endless", "skips"),
    "poison": ("error", "nan"),
}
_SELECTORS = ("method", "path", "key", "skip", "count", "p", "seed")
_NUMBERS = (
    "retry_after",
    "date",
    "none",
    "seconds",
    "ms",
    "status",
    "limit",
    "by",
    "rows",
    "skip",
    "count",
    "p",
    "seed",
)
_WORDS = ("method", "path", "key", "message", "id", "how")


@dataclass(slots=True)
class Fault:
    """One rule: what happens, to which requests, and how often it has happened."""

    kind: str
    settings: dict[str, float | str] = field(default_factory=dict)
    seen: int = 0
    hits: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    def number(self, name: str, default: float) -> float:
        value = self.settings.get(name, default)
        return value if isinstance(value, int | float) else default

    def word(self, name: str, default: str = "") -> str:
        return str(self.settings.get(name, default))

    def applies(self, method: str, path: str, key: str) -> bool:
        """Whether it hits this request; counts it."""
        if not self._selects(method, path, key) or 0 <= self.number("count", -1) <= self.hits:
            return False
        self.seen += 1
        if self.seen <= self.number("skip", 0) or self.chance.random() >= self.number("p", 1):
            return False
        self.hits += 1
        return True

    def _selects(self, method: str, path: str, key: str) -> bool:
        wanted = self.word("path")
        on_path = re.search(wanted[1:], path) is not None if wanted[:1] == "~" else path.startswith(wanted)
        return on_path and self.word("method", method) == method and self.word("key", key) == key


def parse_faults(text: str) -> list[Fault]:
    """Rules of a specification; BadOption names the part that is wrong."""
    return [_parse_rule(rule.strip()) for rule in text.split(";") if rule.strip()]


def _parse_rule(text: str) -> Fault:
    kind, _, rest = text.partition(":")
    if kind not in _KINDS and not re.fullmatch(r"[45]\d\d", kind):
        raise BadOption(f"--faults: unknown kind {kind!r} (429, 4xx, 5xx, {', '.join(_KINDS)})")
    settings: dict[str, float | str] = {}
    for part in filter(None, rest.split(",")):
        name, _, value = part.partition("=")
        settings[name] = _setting(text, name, value)
    how = settings.get("how")
    if how is not None and how not in _HOWS.get(kind, ()):
        raise BadOption(f"--faults: how={how} in {text!r} is not understood")
    settings = {"seed": 1, **settings}
    return Fault(kind, settings, chance=random.Random(str(settings["seed"])))


def _setting(rule: str, name: str, value: str) -> float | str:
    if name in _WORDS:
        if name == "path" and value[:1] == "~":
            _check_pattern(rule, value[1:])
        return value.upper() if name == "method" else value
    try:
        number = float(value) if name in _NUMBERS else None
    except ValueError:
        number = None
    if number is None:
        raise BadOption(f"--faults: {name}={value} in {rule!r} is not understood")
    return number


def _check_pattern(rule: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadOption(f"--faults: path in {rule!r} is no regular expression ({error})") from None


class Faults:
    """The rules in force; those from the start can be put back."""

    def __init__(self, specification: str) -> None:
        self._start = specification
        self._rules = parse_faults(specification)
        self._lock = threading.Lock()

    def reset(self) -> None:
        self.set(self._start)

    def set(self, specification: str, *, add: bool = False) -> None:
        rules = parse_faults(specification)
        with self._lock:
            self._rules = self._rules + rules if add else rules

    def hitting(self, method: str, path: str, key: str) -> list[Fault]:
        """Every rule that stands beside others and applies, and the first other one."""
        hits: list[Fault] = []
        with self._lock:
            for rule in self._rules:
                taken = any(hit.kind not in _BESIDE for hit in hits)
                if (rule.kind in _BESIDE or not taken) and rule.applies(method, path, key):
                    hits.append(replace(rule))
        return hits

    def report(self) -> list[dict[str, object]]:
        with self._lock:
            rules = [asdict(replace(rule, chance=random.Random(0))) for rule in self._rules]
        return [{name: rule[name] for name in ("kind", "settings", "seen", "hits")} for rule in rules]
