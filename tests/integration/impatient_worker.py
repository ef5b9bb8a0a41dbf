"""`omni-metal worker`, as it is, but that it waits for seconds where the product waits for minutes.

BMCs that lie are given a minute to show what they did, and five after some failures; of two hundred such, some lie
four times in a row. Nothing else is changed.
"""

import sys

from app import cli

REACHED_WITHIN_S = 4.0
BACKOFF_S = (1.0,)

if __name__ == "__main__":
    cli._become_green()
    from workers import errors, power

    power.REACHED_WITHIN_S = REACHED_WITHIN_S
    errors.OperationError.backoff_s = BACKOFF_S
    sys.exit(cli.main(["worker", *sys.argv[1:]]))
