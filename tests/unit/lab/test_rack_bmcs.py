import asyncio
import errno
from types import SimpleNamespace

import pytest

from lab.bmc.chassis import BmcKind, Button
from lab.bmc.dice import Fault, Odds
from lab.rack import Rack, RackOptions
from lab.rack_bmcs import RackBmcs, RackError, own_address

ALL = tuple(BmcKind)


@pytest.mark.parametrize(
    ("index", "address"), [(0, "127.77.0.1"), (249, "127.77.0.250"), (250, "127.77.1.1"), (999, "127.77.3.250")]
)
def test_each_machine_has_an_address_of_its_own(index, address):
    assert own_address(index) == address


def test_kinds_take_turns_and_the_dice_of_a_machine_depend_on_the_seed_alone():
    def faults(seed):
        rack = Rack(RackOptions(machines=3, kinds=ALL, odds=Odds(silent=0.5), dice_seed=seed))
        return [[machine.bmc.dice.falls(Fault.SILENT) for _ in range(20)] for machine in rack.machines]

    assert [machine.kind for machine in Rack(RackOptions(machines=5, kinds=ALL)).machines] == [*ALL, *ALL[:2]]
    assert faults(1) == faults(1) != faults(2)
    assert len({tuple(of_machine) for of_machine in faults(1)}) == 3


def test_rack_of_api_bmcs_needs_no_options_of_other_kinds():
    assert RackBmcs((BmcKind.API,), Odds(), 0, "127.0.0.1").provider_options() == []
    assert Rack().machines[0].kind is BmcKind.API


class Listening:
    """Listens where it is told to, or at a port of its own choice."""

    def __init__(self, free):
        self.free = free
        self.at = None

    async def serve(self, host, port):
        self.at = (host, port or self.free)
        return self.at[1]


def test_agents_tell_where_bmcs_with_a_login_are_and_redfish_has_one_port_for_all():
    bmcs = RackBmcs(ALL, Odds(), 0, "127.0.0.1")
    machines = [SimpleNamespace(id=f"m{n}", bmc=Listening(7000 + n), ipmi=None) for n in range(6)]

    asyncio.run(bmcs.serve(machines))

    assert [machine.bmc.at for machine in machines] == [
        ("127.0.0.1", 7000),
        ("127.77.0.2", 7001),
        ("127.77.0.3", 7002),
        ("127.0.0.1", 7003),
        ("127.77.0.5", 7001),
        ("127.77.0.6", 7005),
    ]
    assert [machine.ipmi for machine in machines] == [
        None,
        ("127.77.0.2", 623),
        ("127.77.0.3", 7002),
        None,
        ("127.77.0.5", 623),
        ("127.77.0.6", 7005),
    ]
    assert bmcs.provider_options() == ["--redfish-port=7001", "--bmc-allowed-cidrs=127.77.0.0/16"]


class NoSuchAddress:
    async def serve(self, host, port):
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")


class Taken:
    async def serve(self, host, port):
        raise OSError(errno.EADDRINUSE, "Address already in use")


@pytest.mark.parametrize(
    ("bmc", "kind", "said"),
    [
        (NoSuchAddress(), BmcKind.IPMI, r"BMC of m1 cannot listen at 127\.77\.0\.1: Cannot .*`--bmc-kinds=api` does"),
        (Taken(), BmcKind.REDFISH, r"BMC of m1 cannot listen at 127\.77\.0\.1: Address already in use$"),
        (NoSuchAddress(), BmcKind.API, r"BMC of m1 cannot listen at 192\.0\.2\.1: Cannot assign requested address$"),
    ],
)
def test_address_that_cannot_be_had_is_said_with_the_remedy(bmc, kind, said):
    machine = SimpleNamespace(id="m1", bmc=bmc, ipmi=None)

    with pytest.raises(RackError, match=said):
        asyncio.run(RackBmcs((kind,), Odds(), 0, "192.0.2.1").serve([machine]))


def test_what_must_not_happen_to_a_bmc_is_a_complaint_that_names_machine_and_kind():
    rack = Rack(RackOptions(machines=2, kinds=ALL))
    ledger = rack.machines[1].bmc.ledger
    ledger.asked_gracefully()
    ledger.pressed(Button.REBOOT)

    assert rack.complaints() == [f"{rack.machines[1].id} (redfish): 1 graceful resets at its BMC"]
