# SPDX-License-Identifier: Apache-2.0
"""Plan -> Run, and the run to its end. Redis holds the truth; a Celery message is only a hint that a step may be ready."""
