# SPDX-License-Identifier: Apache-2.0
"""A row of the catalogue."""

from fleetflow_tasks.config.model import Data


class Entry(Data, frozen=True, kw_only=True):
    """One code.

    meaning: what is the matter and when it is told, one or two sentences. example: its first line, as it may read.
    fix: what helps, where the line itself does not say it.
    """

    code: str
    meaning: str
    example: str
    fix: str = ""


class Chapter(Data, frozen=True, kw_only=True):
    """Codes of one room. about: what they have in common."""

    title: str
    about: str
    entries: tuple[Entry, ...]
