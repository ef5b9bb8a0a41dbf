"""BMCs: one protocol, and a client for each kind."""
