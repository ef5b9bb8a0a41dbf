"""Virtual BMCs: one kind a module, what they are wired to, and what may go wrong with them."""
