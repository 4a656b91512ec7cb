"""How downloads are told to people. Pure functions; sizes as hubs and disks say them (10^9)."""

from __future__ import annotations

_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def being_downloaded(
    model: str,
    present_bytes: int,
    total_bytes: int,
    remaining_seconds: float | None = None,
    detail: str = "",
) -> str:
    """Such as: Weights of X are being downloaded: 3.1 of 7.2 GB, about 4 minutes left."""
    told = f"Weights of {model} are being downloaded"
    if total_bytes:
        told += f": {amount(present_bytes, total_bytes)}"
    if remaining_seconds is not None:
        told += f", {time_left(remaining_seconds)} left"
    return f"{told}. {detail}" if detail else f"{told}."


def amount(present_bytes: int, total_bytes: int) -> str:
    """One unit for both, that of the total."""
    for size, unit in _UNITS:
        if total_bytes >= size:
            return f"{present_bytes / size:.1f} of {total_bytes / size:.1f} {unit}"
    return f"{present_bytes} of {total_bytes} bytes"


def time_left(seconds: float) -> str:
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {_counted(minutes, 'minute')}"
    return f"about {_counted(round(seconds / 3600), 'hour')}"


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"
