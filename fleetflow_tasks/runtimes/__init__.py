# SPDX-License-Identifier: Apache-2.0
"""What carries a step out. A runtime knows plans; it never knows the engine, Redis or Celery."""
