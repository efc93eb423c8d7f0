# SPDX-License-Identifier: Apache-2.0
"""Prints the page: `python -m fleetflow_tasks.view.catalogue > docs/errors.md`."""

import sys

from fleetflow_tasks.view.catalogue import CHAPTERS
from fleetflow_tasks.view.catalogue.page import page

sys.stdout.write(page(CHAPTERS))
