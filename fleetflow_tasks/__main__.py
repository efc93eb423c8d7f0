# SPDX-License-Identifier: Apache-2.0
"""`python -m fleetflow_tasks` is `flow`."""

from fleetflow_tasks.cli.main import main

if __name__ == "__main__":
    main()
