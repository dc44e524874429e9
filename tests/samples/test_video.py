from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.samples import video
from proxy.samples.planes import Patch, Planes
from tests.samples.boxes import Bits


class Decoder:
    """A decoder of just this kind of stream, written from the standard's syntax tables."""

    def __init__(self, blocks: int) -> None:
        self.blocks = [b""] * blocks
        self.frame_nums: list[int] = []
        self.idr_ids: list[int] = []

    def decode(self, nal: bytes) -> list[int]:
        """Take in one picture, and return which macroblocks it carried."""
        bits, key = Bits(nal), nal[0] & 31 == 5
        assert bits.ue() == 0  # first_mb_in_slice
        assert bits.ue() == (7 if key else 5)
        assert bits.ue() == 0  # pic_parameter_set_id
        self.frame_nums.append(bits.u(8))
        if key:
            self.idr_ids.append(bits.ue())
            assert bits.u(2) == 0
        else:
            assert bits.u(3) == 0
        assert bits.se() == 0  # slice_qp_delta
        assert bits.ue() == 1  # disable_deblocking_filter_idc
        return self._blocks(bits, key)

    def _blocks(self, bits: Bits, key: bool) -> list[int]:
        carried, number = [], 0
        while bits.more():
            if not key:
                number += bits.ue()
            if bits.more():
                assert bits.ue() == (25 if key else 30)
                bits.align()
                self.blocks[number] = bits.bytes(384)
                carried.append(number)
                number += 1
        assert number == len(self.blocks), "a slice covers the whole picture"
        return carried


def spot(luma: int) -> Patch:
    """16 × 16 samples of one grey."""
    return Patch([bytes([luma]) * 16] * 16, [b"\x80" * 8] * 8, [b"\x80" * 8] * 8)


def blocks(planes: Planes) -> list[bytes]:
    return [planes.macroblock(i) for i in range(planes.across * planes.down)]


def test_what_is_decoded_is_what_was_drawn() -> None:
    planes = Planes(64, 48)
    encoder, decoder = video.Encoder(planes), Decoder(12)
    for number in range(6):
        planes.paste(16 * (number % 4), 16 * (number % 3), spot(30 * number + 20))
        decoder.decode(encoder.picture(key=number % 4 == 0))
        assert decoder.blocks == blocks(planes)


def test_only_what_changed_is_sent() -> None:
    planes = Planes(64, 48)
    encoder, decoder = video.Encoder(planes), Decoder(12)
    assert decoder.decode(encoder.picture(key=True)) == list(range(12))
    assert decoder.decode(encoder.picture(key=False)) == []
    planes.paste(32, 16, spot(200))
    planes.paste(0, 0, spot(16))  # drawn, but as it was
    assert decoder.decode(encoder.picture(key=False)) == [6]
    planes.paste(48, 32, spot(201))
    assert decoder.decode(encoder.picture(key=False)) == [11]


def test_a_patch_between_macroblocks_touches_all_it_covers() -> None:
    planes = Planes(64, 48)
    planes.take_touched()
    planes.paste(8, 8, spot(99))
    assert planes.take_touched() == [0, 1, 4, 5]
    planes.paste(16, 16, spot(99))
    assert planes.take_touched() == [5]


def test_pictures_are_counted_from_each_key_picture() -> None:
    encoder, decoder = video.Encoder(Planes(16, 16)), Decoder(1)
    for number in range(9):
        decoder.decode(encoder.picture(key=number % 3 == 0))
    assert decoder.frame_nums == [0, 1, 2] * 3
    assert all(a != b for a, b in zip(decoder.idr_ids, decoder.idr_ids[1:], strict=False))


def test_the_sequence_parameters_say_size_and_rate() -> None:
    nal = video.sequence_parameters(640, 360, 20)
    bits = Bits(nal)
    assert nal[0] & 31 == 7
    assert [bits.u(8), bits.u(8), bits.u(8)] == [66, 0b11000000, 30]
    assert [bits.ue() for _ in range(4)] == [0, 4, 2, 1]
    assert bits.u(1) == 0
    assert [bits.ue(), bits.ue()] == [39, 22]  # macroblocks less one
    assert [bits.u(1), bits.u(1), bits.u(1)] == [1, 1, 1]
    assert [bits.ue() for _ in range(4)] == [0, 0, 0, 4]  # 8 of 368 lines are cropped
    assert bits.u(1) == 1
    assert bits.u(2) == 0
    assert [bits.u(1), bits.u(3), bits.u(1), bits.u(1)] == [1, 5, 0, 1]
    assert [bits.u(8), bits.u(8), bits.u(8)] == [1, 1, 1]
    assert [bits.u(1), bits.u(1), bits.u(32), bits.u(32), bits.u(1)] == [0, 1, 1, 40, 1]


@pytest.mark.parametrize("size", [(641, 360), (640, 361)])
def test_an_odd_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="even"):
        video.sequence_parameters(*size, 20)


def test_the_picture_parameters_let_slices_switch_deblocking_off() -> None:
    bits = Bits(video.picture_parameters())
    assert [bits.ue(), bits.ue(), bits.u(1), bits.u(1), bits.ue()] == [0] * 5
    assert [bits.ue(), bits.ue(), bits.u(3), bits.se(), bits.se(), bits.se()] == [0] * 6
    assert [bits.u(1), bits.u(1), bits.u(1)] == [1, 0, 0]
    assert not bits.more()


# Table 9-2 and table 9-3
@pytest.mark.parametrize(
    ("value", "code"), [(0, "1"), (1, "010"), (2, "011"), (3, "00100"), (7, "0001000")]
)
def test_unsigned_codes(value: int, code: str) -> None:
    assert video.ue(value) == code


@pytest.mark.parametrize(("value", "number"), [(0, 0), (1, 1), (-1, 2), (2, 3), (-2, 4)])
def test_signed_codes(value: int, number: int) -> None:
    assert video.se(value) == video.ue(number)


@given(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 255]), max_size=40).map(bytes))
def test_no_start_code_is_emulated(payload: bytes) -> None:
    sent = video.nal(video.IDR, payload)[1:]
    assert not re.search(rb"\0\0[\0-\2]", sent)
    assert sent.replace(b"\0\0\3", b"\0\0") == payload
