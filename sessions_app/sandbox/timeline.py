"""When rows were created: monotone in their index, denser in daytime, computed and never stored."""

from bisect import bisect_left, bisect_right
from itertools import accumulate

from sessions_app.sandbox.clock import DAY, HOUR
from sessions_app.sandbox.seeds import mix

# Share of the traffic by hour of the day (UTC): quiet nights, a peak before and after lunch.
_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 11, 14, 15, 14, 12, 13, 15, 15, 14, 12, 10, 9, 8, 6, 4, 3)


class Timeline:
    def __init__(self, size: int, end_us: int, days: int, seed: int) -> None:
        self.size = size
        self.end_us = end_us
        self._seed = seed
        self._start = end_us - days * DAY
        weights = [_HOURS[(self._start // HOUR + hour) % 24] for hour in range(days * 24)]
        scale = max(size, 1) / sum(weights)
        self._upto = [0.0, *accumulate(weight * scale for weight in weights)]

    def created_us(self, index: int) -> int:
        """The index-th row's createdAt; whole milliseconds, never before that of index - 1."""
        place = index + (mix(self._seed, index) >> 32) / 4294967296
        hour = min(bisect_right(self._upto, place), len(self._upto) - 1) - 1
        below = self._upto[hour]
        share = (place - below) / (self._upto[hour + 1] - below)
        return min(int(self._start + (hour + share) * HOUR), self.end_us - 1) // 1000 * 1000

    def index_at(self, moment_us: int) -> int:
        """How many rows were created before this moment."""
        return bisect_left(range(self.size), moment_us, key=self.created_us)
