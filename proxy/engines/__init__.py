"""Plugins found, hosts kept, hosted engines reached."""

import os

# gRPC is imported only below here, and reads this then. What our processes start execs at once, so what gRPC
# does around a fork is of no use there: it writes raw lines into the log, and waits for its locks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
