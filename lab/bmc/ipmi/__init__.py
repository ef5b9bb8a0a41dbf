"""A virtual BMC that speaks IPMI 2.0 over a network, written from the standard: IPMI v2.0, revision 1.1."""
