# SPDX-License-Identifier: Apache-2.0
"""FleetFlow: one KDL file becomes a running stage.

The house, from the street to the roof; each room knows only the ones before it:

    errors      Place, Problem and the tree of errors
    config      KDL text -> Project
    plan        Project + stage -> Plan, a DAG of steps
    runtimes    what carries a step out: docker, kubernetes, cloudrun
    engine      Plan -> Run in Redis, and the run to its end
    view        events -> what a person sees
    api         the front door: load, plan, submit, follow, status
    cli         `flow`
"""

__version__ = "0.1.0"
