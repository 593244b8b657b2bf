"""The supervisor's /metrics, on its own loopback port, made of what the worker tells when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from proxy.runtime import CannotServe
from speech_engine.host.pipe import Message, MetricsAsked
