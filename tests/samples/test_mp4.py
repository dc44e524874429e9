from __future__ import annotations

import struct
from pathlib import Path

import pytest

from proxy.samples import mp4
from tests.samples.boxes import boxes, find, numbers, sample_places

TRACK = mp4.Track(64, 32, 10, b"\x67\x42\xc0\x1e-sequence", b"\x68-picture")


def samples(count: int) -> list[mp4.Sample]:
    return [mp4.Sample(bytes([65 + i]) * (i + 1), key=i % 3 == 0) for i in range(count)]


def file(count: int, per_chunk: int) -> bytes:
    return b"".join(mp4.mux(TRACK, samples(count), per_chunk))


def test_the_index_comes_before_the_data() -> None:
    data = file(7, 3)
    top = [box.kind for box in boxes(data) if box.kind in {b"ftyp", b"moov", b"mdat"}]
    assert top == [b"ftyp", b"moov", b"mdat"]


def test_every_box_of_a_track_is_there_once_and_in_order() -> None:
    kinds = [box.kind for box in boxes(file(7, 3))]
    assert (
        kinds
        == (
            b"ftyp moov mvhd trak tkhd mdia mdhd hdlr minf vmhd dinf dref "
            b"stbl stsd stts stss stsc stsz stco mdat"
        ).split()
    )


@pytest.mark.parametrize(("count", "per_chunk"), [(1, 1), (7, 3), (6, 3), (2, 5), (7, 1)])
def test_offsets_point_to_the_samples(count: int, per_chunk: int) -> None:
    data = file(count, per_chunk)
    found = [data[place : place + size] for place, size in sample_places(data)]
    assert found == [struct.pack(">I", len(s.data)) + s.data for s in samples(count)]
    assert sum(sample_places(data)[-1]) == len(data)


def test_the_key_samples_are_those_one_may_seek_to() -> None:
    assert numbers(find(file(7, 3), b"stss")) == [1, 4, 7]


def test_every_sample_lasts_one_unit_of_the_time_scale() -> None:
    data = file(7, 3)
    assert numbers(find(data, b"stts")) == [7, 1]
    for kind in (b"mvhd", b"mdhd"):
        assert struct.unpack_from(">II", find(data, kind), 12) == (10, 7)


def test_the_parameter_sets_are_in_the_sample_entry() -> None:
    entry = find(file(1, 1), b"stsd")
    assert b"avcC\x01\x42\xc0\x1e\xff\xe1" in entry
    assert b"\x00\x0d" + TRACK.sequence + b"\x01\x00\x09" + TRACK.picture in entry


def test_a_place_beyond_32_bits_makes_a_wide_table() -> None:
    assert mp4.chunk_offsets([1, (1 << 32) - 1])[4:8] == b"stco"
    wide = mp4.chunk_offsets([1, 1 << 32])
    assert wide[4:8] == b"co64"
    assert numbers(wide[8:], form="Q") == [1, 1 << 32]


@pytest.mark.parametrize("kept", [0, 1, 9, 30, -1, -30])
def test_a_cut_file_is_not_whole(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(file(7, 3)[:kept])
    assert not mp4.whole(path)


def test_a_whole_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "whole.mp4"
    path.write_bytes(file(7, 3))
    assert mp4.whole(path)
