"""What Redis holds: the mirror of Omni, leases, marks, attempts, history. All of it may be lost.

Every key begins with `om:`. One Redis database serves one provider id. Times are Redis' own clock in milliseconds,
so that hosts whose clocks differ agree.
"""
