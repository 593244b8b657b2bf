"""What has come of a file, and what is written behind it."""

from pathlib import Path

from proxy.features.models.part_file import FileInfo, PartFile


def test_what_lay_behind_the_place_is_gone(tmp_path: Path) -> None:
    part, told = PartFile(tmp_path, "weights"), FileInfo("https://hub.example/weights", '"one"', 9)
    with part.open_at(0, told) as file:
        file.write(b"as before")
    with part.open_at(3, told) as file:
        file.write(b"new")
    assert part.path.read_bytes() == b"as new"
    assert (part.size, part.read_info()) == (6, told)
