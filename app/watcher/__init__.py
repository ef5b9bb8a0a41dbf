"""The loop: follow Omni, keep the mirror, look at each machine that changed, and have done what is due."""
