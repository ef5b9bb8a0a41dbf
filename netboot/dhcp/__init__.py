"""The DHCP proxy: tells firmware what to boot, beside the network's own DHCP server, and never gives out an address."""
