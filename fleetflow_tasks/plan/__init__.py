# SPDX-License-Identifier: Apache-2.0
"""Project + stage -> Plan: a DAG of steps. Pure: the same input gives the same bytes."""
