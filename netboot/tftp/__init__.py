"""Read-only TFTP from memory: a listener that decides, and a child of fbtftp for each file that goes out.

    datagram ──▶ server ──▶ request: verdict ──┬─▶ transfers ──fork──▶ transfer (fbtftp) ──▶ client
                                               └─▶ ERROR, or nothing

fbtftp's own listener is not used: one empty datagram ends it, it takes the server's settings from the client's options,
and it forks for each request without a limit. Nor are its processes: each fork that is refused would cost descriptors.
"""
