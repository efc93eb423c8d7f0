# SPDX-License-Identifier: Apache-2.0
"""Every attack, then every property again and again, each time with another seed: `make fuzz`.

The seed is printed first, and the one of each round: `SEED=… SECONDS=1 make fuzz` does a round again. The first round that
finds something ends it with code 1; Hypothesis has made the example small by then.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    told = _arguments()
    end = time.monotonic() + told.seconds
    seed = told.seed
    rounds = 0
    while True:
        print(f"round {rounds + 1}: seed {seed}   (the same again: SEED={seed} SECONDS=1 make fuzz)", flush=True)
        if _round(seed, attacks=rounds == 0 and told.seconds > 1) != 0:
            print(f"seed {seed} found something: see above")
            return 1
        rounds += 1
        if time.monotonic() >= end:
            print(f"{rounds} round{'s' if rounds > 1 else ''}, nothing found")
            return 0
        seed = random.Random(seed).randrange(10**9)


def _round(seed: int, *, attacks: bool) -> int:
    """The properties, and the attacks once: they know no chance."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", "--timeout=900"]
    others = [] if attacks else ["--ignore=tests/fuzz/test_attacks.py"]
    environ = {
        **os.environ,
        "FLEETFLOW_TEST_FUZZ": "long",
        "CI": "",
    }  # in CI, Hypothesis takes the same examples each time
    return subprocess.run(
        [*command, f"--hypothesis-seed={seed}", *others, "tests/fuzz"], cwd=ROOT, env=environ, check=False
    ).returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Look for bytes that give neither a project nor our errors."
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="no new round begins after that (default: 600)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
