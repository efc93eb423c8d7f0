# SPDX-License-Identifier: Apache-2.0
"""KDL text -> Project. No network, no Redis, no clock; only `discover` reads the disk."""
