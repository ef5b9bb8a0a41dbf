"""The iPXE binaries that firmware is given: where they come from, and the files that are served of them."""
