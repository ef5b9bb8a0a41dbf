"""The public port: HTTP and the agents' gRPC on one number, each handed on to the process that answers it.

    firmware, browsers ──HTTP──┐              ┌─▶ gunicorn (app.web)
                               ├─▶ splice ────┤
    agents ──HTTP/2 preface────┘              └─▶ agent gateway (app.agents)

The splice looks at the first bytes and no further. What is behind it reads the client's address from the name of the
socket (peer).
"""
