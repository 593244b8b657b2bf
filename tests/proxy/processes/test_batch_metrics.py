"""What the metrics page has of batched models and cards: only what a host told."""

from prometheus_client import CollectorRegistry, generate_latest

from proxy.hosts.figures import HostFigures, batch_metrics


def page(figures: HostFigures) -> list[str]:
    class Hosts:
        def describe(self) -> list[object]:
            return []

        def collect(self) -> object:
            return batch_metrics(figures)

    registry = CollectorRegistry()
    registry.register(Hosts())  # type: ignore[arg-type]  # it has the two methods that are called
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


def test_a_card_is_on_the_page_with_its_memory_and_how_busy_it_is() -> None:
    card = {
        "device_memory_used_bytes": 3e9,
        "device_memory_total_bytes": 8e9,
        "device_utilisation": 0.63,
    }
    assert page({("f5", "0"): card}) == [
        'voxgate_device_memory_used_bytes{engine="f5",process="0"} 3e+09',
        'voxgate_device_memory_total_bytes{engine="f5",process="0"} 8e+09',
        'voxgate_device_utilisation{engine="f5",process="0"} 0.63',
    ]


def test_a_batch_on_a_processor_has_no_card() -> None:
    lines = page({("xtts", "0"): {"rows_live": 2.0, "steps": 7.0}})
    assert 'voxgate_batch_rows{engine="xtts",process="0",urgency="live"} 2.0' in lines
    assert 'voxgate_batch_steps_total{engine="xtts",process="0"} 7.0' in lines
    assert "device" not in "".join(lines)
