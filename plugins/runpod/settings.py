"""The settings of a Runpod account in config.toml: an endpoint of its serverless queue, or our own pods."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from speech_engine.redacted import Redacted

_Address = Annotated[
    str, msgspec.Meta(pattern=r"^https?://[^\s?#]+\Z", description='an address, "https://…"')
]
_Usd = Annotated[float, msgspec.Meta(gt=0, le=1000, description="US dollars, above 0, up to 1000")]
_Seconds = Annotated[int, msgspec.Meta(ge=5, le=86_400, description="a whole number of seconds, 5 to 86400")]
_SecondsFrom0 = Annotated[
    int, msgspec.Meta(ge=0, le=86_400, description="a whole number of seconds, up to 86400")
]

TIDY_S = 300
"""The longest time that a pod lives on after it should have ended."""
SWEEP_S = 15.0
"""The time from the end of a pod's idle time until it is terminated."""


class PodSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[runners.NAME.pods]. README.md explains each setting."""

    deployment: Annotated[
        str,
        msgspec.Meta(pattern=r"^[a-z0-9]{1,20}\Z", description="1 to 20 small letters and digits"),
    ]
    image: Annotated[str, msgspec.Meta(min_length=1, description="the name of an image")]
    gpus: Annotated[
        tuple[str, ...], msgspec.Meta(min_length=1, description="a list of Runpod's names of GPUs")
    ]
    usd_per_hour: _Usd
    most_pods: Annotated[int, msgspec.Meta(ge=1, le=100, description="a whole number, 1 to 100")] = 1
    jobs_per_pod: Annotated[int, msgspec.Meta(ge=1, le=1000, description="a whole number, 1 to 1000")] = 4
    cloud: Annotated[Literal["SECURE", "COMMUNITY"], msgspec.Meta(description='"SECURE" or "COMMUNITY"')] = (
        "SECURE"
    )
    disk_gb: Annotated[int, msgspec.Meta(ge=1, le=10_000, description="a whole number, 1 to 10000")] = 20
    volume: str = ""
    volume_path: str = "/workspace"
    data_centers: tuple[str, ...] = ()
    registry: str = ""
    env: dict[str, str] = {}
    start_s: _Seconds = 900
    idle_s: _Seconds = 300
    deadline_s: _Seconds = 14_400
    proxy_url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^https?://[^\s?#]*\{pod\}[^\s?#]*\Z", description="an address with {pod} in it"
        ),
    ] = "https://{pod}-8000.proxy.runpod.net"

    def __repr__(self) -> str:
        return f"<PodSettings of {self.deployment}>"


class RunpodSettings(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The runner's section: either `endpoint_id` with its price, or `pods`."""

    api_key: str
    stop_key: str = ""
    endpoint_id: Annotated[
        str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]*\Z", description="an endpoint's id: letters and digits")
    ] = ""
    usd_per_second: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="US dollars for a second, up to 1")
    ] = 0.0
    most_s: _Seconds = 600
    queue_s: _Seconds = 600
    start_s: _SecondsFrom0 = 120
    idle_s: _SecondsFrom0 = 5
    pods: PodSettings | None = None
    jobs_url: _Address = "https://api.runpod.ai/v2"
    management_url: _Address = "https://api.runpod.io/v2"

    def __post_init__(self) -> None:
        if bool(self.endpoint_id) == (self.pods is not None):
            raise ValueError("endpoint_id: one of two: an endpoint's id, or [pods] in its place")
        if self.endpoint_id and not self.usd_per_second:
            raise ValueError("usd_per_second: what a second of a worker of the endpoint costs, above 0")
        if self.pods and self.pods.deadline_s < self.pods.start_s + self.queue_s + self.most_s:
            raise ValueError("pods.deadline_s: at least pods.start_s, queue_s and most_s together")

    @property
    def most_usd(self) -> float:
        """The highest cost of one run, start and idle time included."""
        if self.pods is None:
            return (self.start_s + self.most_s + self.idle_s) * self.usd_per_second
        billed_s = self.pods.start_s + self.most_s + self.pods.idle_s + TIDY_S
        return billed_s / 3600 * self.pods.usd_per_hour
