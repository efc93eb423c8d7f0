# SPDX-License-Identifier: Apache-2.0
"""`flow`: each command parses, makes one call into `api` and one into `view`."""
