from __future__ import annotations

import struct
import zlib
from pathlib import Path

from proxy.samples import picture
from proxy.samples.canvas import Canvas, flat


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(type, content) of every chunk, check sums compared."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    found, place = [], 8
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        body = data[place + 4 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length) == (zlib.crc32(body),)
        found.append((body[:4], body[4:]))
        place += 12 + length
    return found


def test_the_file_holds_the_pixels_that_were_drawn() -> None:
    canvas = Canvas(3, 2)
    canvas.rectangle(1, 0, 3, 1, flat((10, 20, 30)))
    kinds = dict(chunks(picture.png(canvas)))
    assert list(kinds) == [b"IHDR", b"sRGB", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", kinds[b"IHDR"]) == (3, 2, 8, 2, 0, 0, 0)
    black, blue = bytes(3), bytes((10, 20, 30))
    assert zlib.decompress(kinds[b"IDAT"]) == b"\0" + black + blue * 2 + b"\0" + black * 3


def test_the_picture_is_whole_and_of_its_size(samples: Path) -> None:
    kinds = dict(chunks((samples / "picture.png").read_bytes()))
    assert struct.unpack(">II", kinds[b"IHDR"][:8]) == (1200, 800)
    assert len(zlib.decompress(kinds[b"IDAT"])) == 800 * (1 + 3 * 1200)


def test_the_picture_comes_out_the_same_each_time(samples: Path) -> None:
    assert picture.picture() == (samples / "picture.png").read_bytes()
