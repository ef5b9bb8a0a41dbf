"""The ordinary DHCP server of a LAN: gives out addresses, and knows nothing of what machines boot."""


def start_dnsmasq(host, network, log, *options):
    """Start it on a host. network: the first three numbers of the LAN. The answer is the process."""
    command = [
        # Without --no-daemon it changes its rights, and the kernel does not end it with the tests any more.
        *("dnsmasq", "--conf-file=/dev/null", "--no-daemon", "--pid-file=", "--port=0"),
        # It would ask for three seconds whether an address is free, before each offer.
        *("--no-ping", "--leasefile-ro", "--log-dhcp", "--log-facility=-"),
        *(f"--dhcp-range={network}.100,{network}.199,1h", *options),
    ]
    return host.start(command, log)
