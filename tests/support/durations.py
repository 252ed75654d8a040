"""Durations and how they are written: the same by the server and in the browser."""

from __future__ import annotations

MINUTE, HOUR, DAY = 60, 3600, 86400

#: Seconds, and what they are written as.
WRITTEN: list[tuple[float, str]] = [
    (0, "0 s"),
    (0.0004, "0 s"),
    (0.0005, "0.001 s"),
    (0.031, "0.031 s"),
    (0.12345, "0.123 s"),
    (0.9996, "1 s"),
    (1, "1 s"),
    (2.31, "2.31 s"),
    (1.125, "1.13 s"),
    (4.2, "4.2 s"),
    (9.996, "10 s"),
    (10, "10 s"),
    (45.67, "45.7 s"),
    (59.94, "59.9 s"),
    (59.96, "1 min"),
    (61.4, "1 min 1 s"),
    (90, "1 min 30 s"),
    (25 * MINUTE, "25 min"),
    (59 * MINUTE + 59.4, "59 min 59 s"),
    (59 * MINUTE + 59.6, "1 h"),
    (62 * MINUTE, "1 h 2 min"),
    (3708, "1 h 2 min"),
    (HOUR + 29, "1 h"),
    (HOUR + 30, "1 h 1 min"),
    (6 * HOUR, "6 h"),
    (21_888, "6 h 5 min"),
    (DAY - 31, "23 h 59 min"),
    (DAY - 30, "1 d"),
    (DAY + HOUR, "1 d 1 h"),
    (47 * HOUR, "1 d 23 h"),
    (3 * DAY + 4 * HOUR + 29 * MINUTE, "3 d 4 h"),
    (4 * DAY - 29 * MINUTE, "4 d"),
    (20_800 * DAY, "20,800 d"),
    (-2.5, "-2.5 s"),
    (-62 * MINUTE, "-1 h 2 min"),
]
