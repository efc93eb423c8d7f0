# SPDX-License-Identifier: Apache-2.0
"""A later definition over an earlier one.

Scalars and lists of the later one replace, an empty list included; maps and blocks merge per key. Services and stages of
one name become one, at the place in the order where the name came first.
"""

from collections.abc import Iterable

from fleetflow_tasks.config.decode import Block
from fleetflow_tasks.errors import Place

_TOLD = 20  # of the definitions that one stands over; a file may hold ten thousand of one name


def over(earlier: Block, later: Block) -> Block:
    """*later* laid over *earlier*; neither is changed. The node's own place stays that of its first definition."""
    places = {**earlier.places, **later.places, **_own(earlier)}
    merged = Block(dict(earlier.values), places, _beaten(earlier, later))
    for name, value in later.values.items():
        old = merged.values.get(name)
        if isinstance(old, Block) and isinstance(value, Block):
            merged.values[name] = over(old, value)
        elif isinstance(old, dict) and isinstance(value, dict):
            merged.values[name] = {**old, **value}
        else:
            merged.values[name] = value
    return merged


def _own(block: Block) -> dict[str, Place]:
    return {"": block.places[""]} if "" in block.places else {}


def _beaten(earlier: Block, later: Block) -> dict[str, tuple[Place, ...]]:
    """What *earlier* says of a field stands behind all that *later* says of it."""
    again = {name: place for name, place in earlier.places.items() if name and name in later.places}
    lost = {
        name: (*later.beaten.get(name, ()), place, *earlier.beaten.get(name, ()))[:_TOLD]
        for name, place in again.items()
    }
    return {**earlier.beaten, **later.beaten, **lost}


def by_name(blocks: Iterable[Block]) -> dict[str, Block]:
    """Blocks of one name merged; those whose name could not be read are left out, they are problems already."""
    named: dict[str, Block] = {}
    for block in blocks:
        name = block.get("name", str)
        if name is not None:
            named[name] = over(named[name], block) if name in named else block
    return named


def stages(blocks: Iterable[Block]) -> dict[str, Block]:
    """Stages of one name merged, and their services of one name with them."""
    merged: dict[str, Block] = {}
    for block in blocks:
        name = block.get("name", str)
        if name is None:
            continue
        earlier = merged.get(name)
        if earlier is not None:
            services = [*earlier.blocks("services"), *block.blocks("services")]
            block = over(earlier, block)  # noqa: PLW2901  (the loop's block is what is kept)
            block.values["services"] = services
        merged[name] = block
    return merged
