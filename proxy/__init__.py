"""The server: the only room that does HTTP and storage. Start reading at `proxy.app`."""

import gc
import sys

if sys.argv[0] == "-m":
    # A process of ours begins here, and reads hundreds of modules: the collector would search them again and
    # again, for a tenth of the time. Each process wakes it when it has read them.
    gc.disable()

__version__ = "0.2.0"
