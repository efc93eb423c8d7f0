# SPDX-License-Identifier: Apache-2.0
"""Prints the language's reference page: `python -m fleetflow_tasks.runtimes.reference > docs/language.md`.

Here and not beside the page's text, since only the runtimes know what their own blocks may say.
"""

import sys

from fleetflow_tasks.config.reference import reference
from fleetflow_tasks.runtimes.registry import blocks

if __name__ == "__main__":
    sys.stdout.write(reference(blocks()))
