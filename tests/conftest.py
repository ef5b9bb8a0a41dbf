"""What holds for all tests."""

import os

# As the command does: the tests are in one process with stand-ins that use grpc, and start other processes.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
