"""Zeiss scans: real OLE containers, written here byte by byte after the published layout (MS-CFB, version 3)."""

from __future__ import annotations

import builtins
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pxm2mesh.errors import DataError, MissingDependencyError
from pxm2mesh.io.images import open_volume, read_grey

END, FREE, FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
SECTOR, SMALL, CUTOFF = 512, 64, 4096


def ole_container(streams: dict[str, bytes]) -> bytes:
    """A compound file; short streams go into the ministream, as the format demands."""
    sectors: list[bytes] = []
    chain: list[int] = []

    def store(content: bytes) -> int:
        if not content:
            return END
        first = len(sectors)
        parts = [content[i : i + SECTOR].ljust(SECTOR, b"\0") for i in range(0, len(content), SECTOR)]
        sectors.extend(parts)
        chain.extend([*range(first + 1, first + len(parts)), END])
        return first

    small, small_chain = b"", []
    entries: list[dict[str, Any]] = [{"name": "Root Entry", "type": 5, "below": []}]
    places: dict[str, int] = {}
    for path, content in streams.items():
        folder, _, name = path.rpartition("/")
        if folder not in places:
            places[folder] = len(entries)
            entries.append({"name": folder, "type": 1, "below": []})
            entries[0]["below"].append(places[folder])
        if len(content) < CUTOFF:
            first = len(small) // SMALL
            count = -(-len(content) // SMALL)
            small += content.ljust(count * SMALL, b"\0")
            small_chain += [*range(first + 1, first + count), END]
        else:
            first = store(content)
        entries[places[folder]]["below"].append(len(entries))
        entries.append({"name": name, "type": 2, "below": [], "start": first, "size": len(content)})
    entries[0] |= {"start": store(small), "size": len(small)}
    mini_fat = b"".join(struct.pack("<I", n) for n in small_chain)
    mini_start = store(mini_fat.ljust(-(-len(mini_fat) // SECTOR) * SECTOR, b"\xff"))
    # siblings are kept in a tree ordered by length and upper-case name; a list leaning right is one
    for entry in entries:
        below = sorted(entry["below"], key=lambda n: (len(entries[n]["name"]), entries[n]["name"].upper()))
        entry["child"] = below[0] if below else FREE
        for one, following in pairwise([*below, FREE]):
            entries[one]["right"] = following
    table = b"".join(
        e["name"].encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBB", 2 * len(e["name"]) + 2, e["type"], 1)
        + struct.pack("<III", FREE, e.get("right", FREE), e["child"])
        + b"\0" * 36
        + struct.pack("<IQ", e.get("start", 0), e.get("size", 0))
        for e in entries
    )
    directory = store(table.ljust(-(-len(table) // SECTOR) * SECTOR, b"\0"))
    fat_count = 1
    while fat_count * SECTOR // 4 < len(sectors) + fat_count:
        fat_count += 1
    first_fat = len(sectors)
    fat = chain + [FAT] * fat_count
    packed = b"".join(struct.pack("<I", n) for n in fat).ljust(fat_count * SECTOR, b"\xff")
    head = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    head += b"\0" * 6 + struct.pack("<IIII", 0, fat_count, directory, 0)
    head += struct.pack("<IIIII", CUTOFF, mini_start, -(-len(mini_fat) // SECTOR), END, 0)
    head += b"".join(struct.pack("<I", first_fat + i) for i in range(fat_count))
    return head.ljust(SECTOR, b"\xff") + b"".join(sectors) + packed


def scan(values: np.ndarray, kind: int, pixel: float = 0.65) -> dict[str, bytes]:
    """The streams of a scan; values are indexed (z, y, x)."""
    count, height, width = values.shape
    numbers = {"ImageWidth": width, "ImageHeight": height, "NoOfImages": count, "DataType": kind}
    streams = {f"ImageInfo/{name}": struct.pack("<I", n) for name, n in numbers.items()}
    streams["ImageInfo/PixelSize"] = struct.pack("<f", pixel)
    for z in range(count):
        streams[f"ImageData{z // 100 + 1}/Image{z + 1}"] = values[z].tobytes()
    return streams


@pytest.mark.parametrize(("kind", "dtype"), [(3, np.uint8), (5, np.uint16), (10, np.float32)])
def test_a_reconstruction_is_read_with_its_voxel_size(kind: int, dtype: type, tmp_path: Path) -> None:
    """103 images, so that they go on in a second folder. Catches images read in the order of their names."""
    values = np.random.default_rng(0).uniform(0, 200, (103, 21, 33)).astype(dtype)
    (tmp_path / "scan.txm").write_bytes(ole_container(scan(values, kind)))
    found = read_grey(tmp_path / "scan.txm")
    assert found.values.dtype == dtype
    np.testing.assert_array_equal(found.values, values.transpose(2, 1, 0))
    np.testing.assert_allclose(found.spacing, 0.65, rtol=1e-6)


def test_large_images_lie_in_sectors_of_their_own(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(0, 60000, (3, 70, 80)).astype(np.uint16)
    (tmp_path / "scan.txm").write_bytes(ole_container(scan(values, 5)))
    part = open_volume(tmp_path / "scan.txm").crop((5, 6, 1), (9, 40, 3)).load()
    np.testing.assert_array_equal(part.values, values.transpose(2, 1, 0)[5:9, 6:40, 1:3])  # type: ignore[union-attr]


def test_projections_are_said_to_be_no_slices(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "scan.txrm").write_bytes(ole_container(scan(np.ones((2, 4, 5), np.uint16), 5)))
    assert read_grey(tmp_path / "scan.txrm").shape == (5, 4, 2)
    assert "projections" in caplog.text


def test_damaged_and_foreign_files_are_refused_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "scan.txm"
    streams = scan(np.ones((3, 4, 5), np.uint16), 5)
    for change, told in (
        ({"ImageData1/Image2": None}, "no ImageData1/Image2"),
        ({"ImageData1/Image2": b"xx"}, "ImageData1/Image2 is cut off: 2 bytes instead of 40"),
        ({"ImageInfo/DataType": struct.pack("<I", 99)}, "unknown type 99"),
        ({"ImageInfo/ImageWidth": None}, "does not say its ImageWidth"),
    ):
        kept = {name: content for name, content in (streams | change).items() if content is not None}
        path.write_bytes(ole_container(kept))
        with pytest.raises(DataError, match=told):
            read_grey(path)
    path.write_bytes(b"not a container" * 99)
    with pytest.raises(DataError, match="no OLE container"):
        read_grey(path)
    whole = ole_container(scan(np.ones((3, 90, 80), np.uint16), 5))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"scan\.txm"):
        read_grey(path)


def test_without_olefile_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "olefile":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "scan.txm").write_bytes(ole_container(scan(np.ones((1, 4, 5), np.uint16), 5)))
    with pytest.raises(MissingDependencyError) as caught:
        read_grey(tmp_path / "scan.txm")
    assert 'pip install "pxm2mesh[zeiss]"' in str(caught.value.hint)
