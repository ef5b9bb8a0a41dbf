"""The pages for people: the fleet, one machine with what may be ordered of it, and the login."""
