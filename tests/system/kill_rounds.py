"""`python -m tests.system.kill_rounds --rounds 20 --seed 7`: the long form of the kill test, on a stack of its own.

Each round kills every part once with SIGKILL, and once all of them together, in a random order, at a random moment, for a
random while. Prints a table as it goes; the exit code is 1 when anything was lost, held twice, left behind or late.
"""

from __future__ import annotations

import argparse
import sys
from random import Random

from tests.system.campaign import Campaign, at_random, wage
from tests.system.installation import running_installation
from tests.system.rounds import EVERYTHING, PARTS

ALL = (*PARTS, EVERYTHING)


def main() -> int:
    """Run until all rounds are played."""
    arguments = _arguments()
    kills = at_random(Random(arguments.seed), arguments.rounds, arguments.part or ALL)
    say(f"{arguments.rounds} rounds, seed {arguments.seed}, {len(kills)} kills, usually half a minute each")
    with running_installation() as installation:
        campaign = wage(installation, kills, say)
        if campaign.complaints:
            say(f"the logs of all parts are kept in {installation.keep_logs()}")
    return verdict(campaign)


def verdict(campaign: Campaign) -> int:
    """Say how it ended."""
    slowest = max((done.slowest for done in campaign.played), default=0.0)
    say(f"{len(campaign.played)} kills, slowest to go on {slowest:.1f} s, looked at {campaign.looks}")
    for complaint in campaign.complaints:
        say(f"! {complaint}")
    say("nothing lost, held twice, left behind or late" if not campaign.complaints else "NOT AS IT SHOULD BE")
    return 1 if campaign.complaints else 0


def say(line: str) -> None:
    """At once, also into a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.system.kill_rounds", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how often every part is killed")
    parser.add_argument("--seed", type=int, default=1, help="of the order, the moments and the whiles")
    parser.add_argument("--part", action="append", choices=ALL, help="only this one; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
