"""The agents on the machines: their reverse tunnels, who holds them, and how workers reach them.

    agent ──opens a tunnel──▶ tunnel, session ─▶ house ─▶ registry in Redis ◀── client ◀── worker
      ▲                                            │                              │
      └───────────── agent ◀─ wipes ◀─ service ◀───┴────── internal listener ◀────┘

A gateway process holds tunnels (gateway). A worker asks the registry which gateway holds a machine and calls it
(client, service). The gateway owns the calls to the agents, above all the wipes (wipes): they outlive their callers.
"""
