"""The health check of the image: ends with status 0 while the server of this container is ready."""

import os
import sys
import urllib.error
import urllib.request

_TIMEOUT_S = 4


def main() -> int:
    port = os.environ.get("VOXGATE_SERVER__PORT", "8000")
    # A proxy of the environment is for providers; this way stays in the container.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/readyz", timeout=_TIMEOUT_S) as answer:
            print(answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
        return 1
    except OSError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
