# SPDX-License-Identifier: Apache-2.0
"""A request to a platform, logged: what `--verbose` shows.

Never what was sent or answered, which may hold secrets; and not what stands behind `?` either: for a command that runs inside a
pod that is its words.
"""

import logging


def asked(log: logging.Logger, platform: str, method: str, path: str, status: object, seconds: float) -> None:
    if log.isEnabledFor(logging.DEBUG):
        where = path.partition("?")[0]
        log.debug("%s.asked", platform, extra={"method": method, "path": where, "status": status, "took": seconds})
