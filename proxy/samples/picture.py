"""`picture.png`: the landscape as a PNG, its chunks written by hand.

The clauses are those of the PNG specification, third edition (also ISO/IEC 15948).
"""

from __future__ import annotations

import struct
import zlib

from proxy.samples.canvas import Canvas
from proxy.samples.landscape import landscape

WIDTH, HEIGHT = 1200, 800
SIGNATURE = b"\x89PNG\r\n\x1a\n"  # clause 5.2
END = b"\0\0\0\0IEND\xaeB`\x82"  # clause 11.2.5, with its check sum: how every whole PNG ends


def picture() -> bytes:
    """The whole file."""
    return png(landscape(WIDTH, HEIGHT, 0.5))


def png(canvas: Canvas) -> bytes:
    """`canvas` as a PNG: 8 bits, true colour, no interlace, no filter.

    Without a filter (type 0, clause 9.2), because flat colours repeat and deflate finds that.
    """
    header = struct.pack(">IIBBBBB", canvas.width, canvas.height, 8, 2, 0, 0, 0)
    lines = b"".join(b"\0" + row for row in canvas.rows)
    return (
        SIGNATURE + chunk(b"IHDR", header) + chunk(b"sRGB", b"\0")
        + chunk(b"IDAT", zlib.compress(lines, 6)) + END
    )  # fmt: skip


def chunk(kind: bytes, data: bytes) -> bytes:
    """Length, type, data and CRC over type and data (clause 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
