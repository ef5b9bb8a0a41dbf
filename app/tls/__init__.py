"""Certificates: our own authority, and what it issues. Pure but for chance and the clock that is given."""
