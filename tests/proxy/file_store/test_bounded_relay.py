"""The relay before a bucket goes on after its process had no more files."""

import os
import resource
import socket
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from proxy.file_store.bounded_relay import BoundedRelay


@pytest.mark.clock
def test_it_serves_again_once_its_process_may_open_files() -> None:
    relay = urlsplit(BoundedRelay(1000).url)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.settimeout(3)
        taken = list[int]()
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 16, hard))
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            client.connect((str(relay.hostname), relay.port))
            time.sleep(0.2)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in taken:
                os.close(each)
        client.sendall(b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n")
        assert client.recv(10) == b"", "it has read the request, and refused it without its pass"
