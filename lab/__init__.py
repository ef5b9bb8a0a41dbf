"""A rack to try the provider with: stand-ins for Omni, the image factory, the machines and their BMCs."""
