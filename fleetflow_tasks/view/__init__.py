# SPDX-License-Identifier: Apache-2.0
"""Events and answers -> what a person sees. Pure but for `live`; no Redis, no Celery, no clock."""
