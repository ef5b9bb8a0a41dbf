"""An agent made of grpctunnel and the agent's own API package: how it behaves, and what it was asked."""

import uuid

LIMIT_S = 20  # the other side may be short of processor time


class GoAgent:
    """One agent in a running `agent` program. It dials at once.

    tls: what it trusts where the address is https: `ca` (PEM) or `skip_verify`; `old_tls` for one of TLS 1.2.
    """

    def __init__(self, program, address, machine_id=None, *, flow_control=True, redial=False, **tls):
        self.id = str(uuid.uuid4()) if machine_id is None else machine_id
        self.program = program
        self.number = program.ask(
            "dial",
            address=address,
            machine_id=self.id,
            flow_control=flow_control,
            redial=redial,
            **tls,
        )

    def behave(self, method, **behaviour):
        self.program.ask("behave", agent=self.number, method=method, **behaviour)

    def calls(self, method=None):
        every = self.program.ask("calls", agent=self.number)
        return [call for call in every if method in (None, call["method"])]

    def states(self, method):
        return [call["state"] for call in self.calls(method)]

    def dials(self):
        return self.program.ask("dials", agent=self.number)

    def ended(self):
        """How its latest connection ended; None while it stands."""
        dials = self.dials()
        return dials[-1]["error"] if dials and dials[-1]["ended"] else None

    def stop(self):
        self.program.ask("stop", agent=self.number)

    def cut(self):
        self.program.ask("cut", agent=self.number)


def pattern(length):
    """The text that the program gives for a length: no part of it is like the one that follows."""
    return "".join(f" {number:06}" for number in range(length // 7 + 1))[:length]
