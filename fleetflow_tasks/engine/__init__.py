# SPDX-License-Identifier: Apache-2.0
"""Plan -> Run, and the run to its end. Redis holds the truth; a Celery message is only a hint that a step may be ready."""

import logging

# Whoever wants our log says where it goes. Without this, logging itself would write its warnings into a user's terminal.
logging.getLogger("fleetflow_tasks").addHandler(logging.NullHandler())
