"""`omni-metal worker`, as it is, but that it waits for seconds where the product waits for minutes.

BMCs that lie are given a minute to show what they did, and five after some failures; of two hundred such, some lie
four times in a row. BMCs that refused a login are left alone for a minute, since some lock out; these do not. Nothing
else is changed.
"""

import sys

from app import cli

REACHED_WITHIN_S = 4.0
BACKOFF_S = (1.0,)
REST_S = 5.0

if __name__ == "__main__":
    cli._become_green()
    from app.state import logins

    logins.REST_S = REST_S  # before others take it from there
    from workers import errors, power

    power.REACHED_WITHIN_S = REACHED_WITHIN_S
    errors.OperationError.backoff_s = BACKOFF_S
    sys.exit(cli.main(["worker", *sys.argv[1:]]))
