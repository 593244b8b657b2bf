"""Where requests a minute are counted: does that Redis answer, and does it let them be counted."""

from __future__ import annotations

from collections.abc import Iterator

from proxy.config.config_toml import Config
from proxy.config.limits_address import is_memory, shown
from proxy.diagnosis.doctor.result import Result, ok, wrong

ANSWER_S = 4.0

_KEY = "voxgate:doctor"
# Written by a script, as requests are counted: a copy, a full server or a user who may not would all still
# answer a question. It is gone before anybody else could see it.
_COUNT = "redis.call('set', KEYS[1], '') redis.call('del', KEYS[1])"
_MEND = "start it, or mend [limits] url: host, port, number, user, password"


def limits(config: Config) -> Iterator[Result]:
    url = config.limits.url
    if is_memory(url):
        return
    # Imported here: whoever stays with memory has no use for the client.
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    where = f"Redis at {shown(url)}"
    client = redis.Redis.from_url(
        url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=Retry(NoBackoff(), 0)
    )
    try:
        client.eval(_COUNT, 1, _KEY)
    except redis.TimeoutError:
        yield wrong("limits", f"{where} did not answer within {ANSWER_S:g} s", _MEND)
    except redis.AuthenticationError:
        yield wrong("limits", f"{where} does not take this user and password", _MEND)
    except redis.ConnectionError:
        yield wrong("limits", f"{where} cannot be reached", _MEND)
    except redis.ResponseError as error:
        do = "let it take writes, and its user run scripts on the keys voxgate:*"
        yield wrong("limits", f"{where} answers, but does not count: {error}", do)
    else:
        yield ok("limits", where)
    finally:
        client.close()
