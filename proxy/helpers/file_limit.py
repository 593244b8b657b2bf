"""How many files a process may open."""

import resource

ENOUGH_FILES = 65_536


def raise_file_limit() -> None:
    """Let this process open more files, if the system allows it: shells and services start it with few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The system may allow a thousand million, and libraries make tables of that size.
    enough = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
