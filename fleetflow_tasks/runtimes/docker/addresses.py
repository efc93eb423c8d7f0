# SPDX-License-Identifier: Apache-2.0
"""Which addresses in a stage's network the Engine gives out, and which we do. Pure.

A container that is introduced to DNS, or taken out of it, leaves the network and comes back, and must come back under
the same address, or its connections are lost. An Engine grants an address only in a network whose subnet was said when
it was made, and it remembers what it granted: the container asks for the same one at each start. Were that one of those
that the Engine hands out by itself, another container might hold it by then, after a restart of the machine say, and
ours could not start. Therefore the subnet is cut: the lower half is the Engine's, the upper half is ours.
"""

import random
from collections.abc import Collection
from ipaddress import ip_network

_SMALLEST = 27  # prefix of the smallest subnet worth cutting: 16 addresses for each of us
_TRIES = 200  # of one choice; with as many misses the half is as good as full


def cut(subnet: str) -> tuple[str, str] | None:
    """(the Engine's half, ours); None where the subnet is too small, or not known."""
    if not subnet or ip_network(subnet).prefixlen > _SMALLEST:
        return None
    lower, upper = ip_network(subnet).subnets()
    return str(lower), str(upper)


def free(ours: str, taken: Collection[str]) -> str:
    """One of *ours* that is not *taken*; "" where none is found, or there is no half of ours.

    By chance, so that two workers who choose at the same moment hardly ever choose the same one.
    """
    if not ours:
        return ""
    half = ip_network(ours)
    for _ in range(_TRIES):
        address = str(half[random.randrange(half.num_addresses - 1)])  # noqa: S311  (no secret); the last is broadcast
        if address not in taken:
            return address
    return ""
