# SPDX-License-Identifier: Apache-2.0
"""Many runs on a few workers, and something breaks every few seconds: `make soak`, or `python -m tests.engine.soak`.

The seed is printed first; the same seed makes the same plans, the same behaviour of each step and the same faults at
the same moments. What was wrong ends it with code 1 and leaves a folder: Redis's append-only file, the journal, the
world, and the workers' logs.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.engine.conftest import BINARIES
from tests.engine.soak.soak import soak


def main() -> int:
    told = _arguments()
    print(f"seed {told.seed}   (the same again: SEED={told.seed} SECONDS={told.seconds:g} make soak)", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="ff-soak-"))  # short: a socket lies in it
    found = soak(
        folder,
        told.seed,
        seconds=told.seconds,
        stages=told.stages,
        workers=told.workers,
        binary=BINARIES[told.server](),
        tell=lambda line: print(line, flush=True),
    )
    print(found.told())
    if found.wrong:
        print(f"what there was is kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description="Break things while runs go on, and look what holds.")
    parser.add_argument("--seconds", type=float, default=600.0, help="for how long things break (default: 600)")
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**6)), help="any text")
    parser.add_argument("--stages", type=int, default=30)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--server", choices=list(BINARIES), default="redis")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
