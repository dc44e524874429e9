"""An MP4 file of one video track, its index in front of the data.

With `moov` before `mdat` a player knows after one short read where every second lies, and seeks
by a range request. Clauses are those of ISO/IEC 14496-12, where no other part is named.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

# unity: rotates and scales nothing, §8.2.2 (16.16 numbers, the last column 2.30)
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
UNDETERMINED = 0x55C4  # "und" in 5 bits a letter, §8.4.2


class Track(NamedTuple):
    """What the samples are. Every sample lasts one `rate`-th of a second."""

    width: int
    height: int
    rate: int
    sequence: bytes  # the sequence parameter set
    picture: bytes  # the picture parameter set


class Sample(NamedTuple):
    """One coded picture, a NAL unit without its length."""

    data: bytes
    key: bool


def mux(track: Track, samples: Sequence[Sample], per_chunk: int) -> list[bytes]:
    """The file in parts. `per_chunk` samples in a row make a chunk, the last may be shorter."""
    packed = [struct.pack(">I", len(s.data)) + s.data for s in samples]  # ISO/IEC 14496-15 §5.3.3
    sizes = [len(data) for data in packed]
    chunks = [sum(sizes[i : i + per_chunk]) for i in range(0, len(sizes), per_chunk)]
    start, moov = _placed(track, samples, sizes, chunks, per_chunk)
    head = _ftyp() + moov
    lead = _mdat_header(sum(sizes))
    if len(head) + len(lead) != start:
        raise AssertionError("the index is not where it says the data begins")
    return [head, lead, *packed]


def whole(path: Path) -> bool:
    """Whether the boxes on the top level fill the file exactly, as they do unless it was cut."""
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            head = file.read(16)
            if len(head) < 16:
                return False
            length = int.from_bytes(head[:4], "big")
            place += max(8, length if length != 1 else int.from_bytes(head[8:], "big"))
    return place == size > 0


def box(kind: bytes, *content: bytes) -> bytes:
    """Length, type and content (§4.2)."""
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def full_box(kind: bytes, *content: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box that opens with a version and 24 bits of flags (§4.2)."""
    return box(kind, struct.pack(">I", version << 24 | flags), *content)


def table(kind: bytes, rows: Sequence[tuple[int, ...]], form: str = "I") -> bytes:
    """A full box of a count and that many rows of numbers."""
    numbers = [number for row in rows for number in row]
    return full_box(kind, struct.pack(f">I{len(numbers)}{form}", len(rows), *numbers))


def chunk_offsets(places: Sequence[int]) -> bytes:
    """Where each chunk begins in the file: 32 bits a place, or 64 where one needs it (§8.7.5)."""
    rows = [(place,) for place in places]
    return table(b"co64", rows, "Q") if max(places) >> 32 else table(b"stco", rows)


def _placed(
    track: Track, samples: Sequence[Sample], sizes: list[int], chunks: list[int], per_chunk: int
) -> tuple[int, bytes]:
    """Where the data begins and the `moov` that says so, which grows once places need 64 bits."""
    start = 0
    while True:
        places = list(accumulate(chunks[:-1], initial=start))
        moov = _moov(track, samples, sizes, chunk_offsets(places), per_chunk)
        needed = len(_ftyp()) + len(moov) + len(_mdat_header(sum(sizes)))
        if needed == start:
            return start, moov
        start = needed


def _ftyp() -> bytes:
    """§4.3: plain ISO media, with AVC in it."""
    return box(b"ftyp", b"isom", struct.pack(">I", 512), b"isom", b"iso2", b"avc1", b"mp41")


def _mdat_header(size: int) -> bytes:
    """§8.1.1; a length of 1 says that 64 bits of it follow the type."""
    if size + 8 >> 32:
        return struct.pack(">I4sQ", 1, b"mdat", size + 16)
    return struct.pack(">I4s", size + 8, b"mdat")


def _moov(
    track: Track, samples: Sequence[Sample], sizes: list[int], offsets: bytes, per_chunk: int
) -> bytes:
    length = len(samples)  # in units of one sample, as the time scale is the rate
    movie = struct.pack(">IIIIIH10x", 0, 0, track.rate, length, 0x10000, 0x100)
    mvhd = full_box(b"mvhd", movie, MATRIX, bytes(24), struct.pack(">I", 2))  # §8.2.2
    head = struct.pack(">IIIII8xhhHH", 0, 0, 1, 0, length, 0, 0, 0, 0)
    extent = struct.pack(">II", track.width << 16, track.height << 16)
    tkhd = full_box(b"tkhd", head, MATRIX, extent, flags=3)  # §8.3.2: enabled, in the movie
    mdhd = full_box(b"mdhd", struct.pack(">IIIIHH", 0, 0, track.rate, length, UNDETERMINED, 0))
    hdlr = full_box(b"hdlr", struct.pack(">I4s12x", 0, b"vide"), b"Headgate sample\0")  # §8.4.3
    table_of_samples = box(
        b"stbl",
        _description(track),
        table(b"stts", [(len(samples), 1)]),  # §8.6.1.2: all last one unit
        table(b"stss", [(i,) for i, s in enumerate(samples, 1) if s.key]),  # §8.6.2
        _chunk_sizes(len(samples), per_chunk),
        full_box(b"stsz", struct.pack(f">II{len(sizes)}I", 0, len(sizes), *sizes)),  # §8.7.3.2
        offsets,
    )
    here = box(b"dinf", full_box(b"dref", struct.pack(">I", 1), full_box(b"url ", flags=1)))
    vmhd = full_box(b"vmhd", bytes(8), flags=1)  # §12.1.2
    minf = box(b"minf", vmhd, here, table_of_samples)
    return box(b"moov", mvhd, box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf)))


def _chunk_sizes(count: int, per_chunk: int) -> bytes:
    """§8.7.4: from which chunk on how many samples are in each."""
    full, rest = divmod(count, per_chunk)
    rows = [(1, per_chunk, 1)] if full else []
    if rest:
        rows.append((full + 1, rest, 1))
    return table(b"stsc", rows)


def _description(track: Track) -> bytes:
    """`stsd` with the one sample entry, `avc1` (§12.1.3), its `avcC` and its colours."""
    _, profile, constraints, level = track.sequence[:4]
    configuration = box(  # ISO/IEC 14496-15 §5.3.3.1; lengths of 4 bytes before each NAL unit
        b"avcC",
        bytes([1, profile, constraints, level, 0xFF, 0xE1]),
        struct.pack(">H", len(track.sequence)) + track.sequence,
        struct.pack(">BH", 1, len(track.picture)) + track.picture,
    )
    colours = box(b"colr", b"nclx", struct.pack(">HHHB", 1, 1, 1, 0))  # BT.709, limited, §12.1.5
    visual = struct.pack(">6xH16xHH", 1, track.width, track.height)
    visual += struct.pack(">IIIH32xHh", 72 << 16, 72 << 16, 0, 1, 24, -1)
    entry = box(b"avc1", visual, configuration, colours)
    return full_box(b"stsd", struct.pack(">I", 1), entry)
