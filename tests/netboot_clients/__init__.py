"""Boot clients for tests of netboot: packets as firmware sends them, clients that speak DHCP, bursts and nonsense.

They share no code with what they test: packets are made and read here byte by byte.
"""
