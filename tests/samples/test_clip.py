from __future__ import annotations

import hashlib

from proxy.samples import clip as drawing
from proxy.samples import mp4
from tests.samples.boxes import find, numbers, sample_places
from tests.samples.test_video import Decoder

ACROSS, DOWN = 40, 23
# Row 334 is in macroblock line 20, in the middle of the bar.
BAR_ROW = 334


def bar_length(decoder: Decoder) -> int:
    """How many samples of the bar's row are bright."""
    line, row = divmod(BAR_ROW, 16)
    blocks = decoder.blocks[line * ACROSS : (line + 1) * ACROSS]
    luma = b"".join(block[16 * row : 16 * row + 16] for block in blocks)
    return sum(sample > 180 for sample in luma)


def nals(clip: bytes) -> list[bytes]:
    found = []
    for place, size in sample_places(clip):
        assert int.from_bytes(clip[place : place + 4], "big") == size - 4
        found.append(clip[place + 4 : place + size])
    return found


def test_it_lasts_thirty_seconds_and_every_second_begins_with_a_key_picture(clip: bytes) -> None:
    kinds = [nal[0] & 31 for nal in nals(clip)]
    assert kinds == ([5] + [1] * 19) * 30
    assert numbers(find(clip, b"stss")) == list(range(1, 601, 20))


def test_it_is_large_enough_that_ranges_matter(clip: bytes) -> None:
    assert 5 << 20 < len(clip) < 20 << 20


def test_the_bar_tells_the_number_of_the_picture(clip: bytes) -> None:
    decoder = Decoder(ACROSS * DOWN)
    lengths = []
    for nal in nals(clip)[:100]:
        decoder.decode(nal)
        lengths.append(bar_length(decoder))
    assert lengths == list(range(1, 101))


def test_each_second_can_be_decoded_alone(clip: bytes) -> None:
    for second in (29, 0, 17):
        decoder = Decoder(ACROSS * DOWN)
        for nal in nals(clip)[20 * second : 20 * second + 3]:
            decoder.decode(nal)
        assert bar_length(decoder) == 20 * second + 3


def test_no_sample_is_outside_the_limited_range(clip: bytes) -> None:
    decoder = Decoder(ACROSS * DOWN)
    decoder.decode(nals(clip)[200])
    everything = b"".join(decoder.blocks)
    assert min(everything) >= 16
    assert max(everything) <= 240


def test_it_comes_out_the_same_each_time(clip: bytes) -> None:
    again = b"".join(mp4.mux(drawing.TRACK, list(drawing.pictures()), drawing.RATE))
    assert hashlib.sha256(again).digest() == hashlib.sha256(clip).digest()
