"""The pipe of a child that answers one question after the other, in one thread."""

from __future__ import annotations

import gc
import select
import sys

from speech_engine.host.pipe import ParentPipe
from speech_engine.host.process_rights import die_with_parent


def pipe_of_one_thread() -> ParentPipe:
    """Returns the pipe of a child without a reading thread. The kernel kills the child when its parent dies.

    If the parent has died before this call, the process exits. A question in the pipe then needs no answer.
    """
    die_with_parent()
    # The child's package may have switched the collector off, so that the imports are faster.
    gc.enable()
    fd = int(sys.argv[1])
    poll = select.poll()
    poll.register(fd, select.POLLHUP)
    if poll.poll(0):
        sys.exit(0)
    return ParentPipe(fd)
