"""Numbers and ids that follow from a seed and an index alone; knows nothing of what they are used for."""

from hashlib import blake2b

_MASK = (1 << 64) - 1
_LOW = (1 << 40) - 1
_STEP = 0x5851F42D4D
_BACK = pow(_STEP, -1, 1 << 40)


def seed_of(*parts: str) -> int:
    """A 64-bit seed from names."""
    return int.from_bytes(blake2b("\x1f".join(parts).encode(), digest_size=8).digest())


def mix(seed: int, index: int) -> int:
    """64 well-mixed bits for an index (splitmix64)."""
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Ids:
    """Ids that can be turned back into their index; nearly all look like UUIDs, a few do not (as at Vapi)."""

    def __init__(self, seed: int, prefix: str) -> None:
        self._seed = seed
        self._add = seed & _LOW
        self._prefix = prefix + "_"

    def of(self, index: int) -> str:
        low = (index * _STEP + self._add) & _LOW
        tag = mix(self._seed, index)
        if index % 97 == 31:
            return f"{self._prefix}{low:010x}{tag:016x}"
        return (
            f"{low >> 8:08x}-{(low & 0xFF) << 8 | tag >> 56:04x}-4{tag >> 44 & 0xFFF:03x}"
            f"-{0x8000 | tag >> 30 & 0x3FFF:04x}-{tag * 0x9E3779B1 & 0xFFFFFFFFFFFF:012x}"
        )

    def index(self, id_: str) -> int | None:
        """The index this id was made of, or None for a foreign id."""
        text = id_.removeprefix(self._prefix)
        low = text[:10] if text != id_ else text[:8] + text[9:11]
        try:
            index = (int(low, 16) - self._add) * _BACK & _LOW
        except ValueError:
            return None
        return index if self.of(index) == id_ else None
