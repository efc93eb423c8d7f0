# SPDX-License-Identifier: Apache-2.0
"""Memory, cpu and durations as people write them for Docker and Kubernetes -> bytes, cores, seconds.

`m` and `M` mean different things to the two. The spelling decides: lower case is Docker's (`1g` is 1024³), upper case
Kubernetes' (`1G` is 1000³), and `Gi` is 1024³ to everybody. None is the answer for what is no quantity.
"""

import re

_NUMBER = r"(\d{1,18}(?:\.\d{1,18})?|\.\d{1,18})"
_BYTES = re.compile(rf"{_NUMBER} ?([kKmMgGtTpP]i?)?[bB]?", re.ASCII)
_CORES = re.compile(rf"{_NUMBER}(m?)", re.ASCII)
_SECONDS = re.compile(rf"{_NUMBER} ?(ms|s|m|h|d)", re.ASCII)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_POWERS = "kmgtp"


def size(text: str) -> int | None:
    """Bytes: `256Mi`, `256M`, `1g`, `1048576`."""
    match = _BYTES.fullmatch(text.strip())
    if match is None:
        return None
    number, unit = match[1], match[2] or ""
    base = 1000 if unit.isupper() else 1024
    factor = base ** (_POWERS.index(unit[0].lower()) + 1) if unit else 1
    return int(number) * factor if number.isdigit() else round(float(number) * factor)


def cores(text: str) -> float | None:
    """Cores: `500m` is half of one, so is `0.5`."""
    match = _CORES.fullmatch(text.strip())
    if match is None:
        return None
    return float(match[1]) / (1000 if match[2] else 1)


def seconds(text: str) -> float | None:
    """Seconds: `30s`, `5m`, `1h30m`, `250ms`; a bare number is seconds too."""
    stripped = text.strip()
    if re.fullmatch(_NUMBER, stripped, re.ASCII):
        return float(stripped)
    if not re.fullmatch(rf"(?:{_SECONDS.pattern})+", stripped, re.ASCII):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _SECONDS.findall(stripped))
