"""Where an Ogg stream says that it ends."""

from proxy.audio.frames import last_granule


def page(granule: int, lacing: list[int]) -> bytes:
    header = b"OggS\0\0" + granule.to_bytes(8, "little", signed=True) + bytes(12) + bytes([len(lacing)])
    return header + bytes(lacing) + b"\xff" * sum(lacing)


def test_the_last_page_with_the_end_of_a_packet_counts() -> None:
    assert last_granule(page(960, [10]) + page(2_880, [255, 3, 7])) == 2_880


def test_a_page_inside_a_packet_tells_nothing() -> None:
    assert last_granule(page(960, [10]) + page(-1, [255] * 255)) == 960
    assert last_granule(page(-1, [255])) is None
    assert last_granule(b"") is None
