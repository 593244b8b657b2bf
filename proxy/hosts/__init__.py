"""Hosts, the processes of local engines here and elsewhere: their start (`host`), environments and models."""

import os

# gRPC reads this variable on import, which happens only below this package. Our child processes exec at once,
# so gRPC's fork handlers are useless: they write raw lines to the log and wait for locks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
