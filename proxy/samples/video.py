"""A tiny H.264 encoder: what moved is sent as it is, the rest is skipped.

It knows two kinds of macroblock, I_PCM (the samples themselves) and P_Skip (as in the picture
before), which need no transform and no prediction, so the whole bit stream is Exp-Golomb codes
and bytes. It is large for what it shows, and that is wanted: a clip to seek in by ranges.

Clauses are those of ITU-T H.264 (ISO/IEC 14496-10). Bits are written as strings of 0 and 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from proxy.samples.planes import Planes

PROFILE, CONSTRAINTS, LEVEL = 66, 0b1100_0000, 30  # constrained baseline at level 3, Annex A
NON_IDR, IDR, SPS, PPS = 1, 5, 7, 8  # nal_unit_type, table 7-1
I_PCM_IN_I, I_PCM_IN_P = 25, 30  # mb_type, tables 7-11 and 7-13 (5 more, after the P types)
FRAME_NUM_BITS = 8


class Encoder:
    """Turns the states of one `Planes` into coded pictures, each built upon the one before."""

    def __init__(self, planes: Planes) -> None:
        self._planes = planes
        self._sent = [b""] * (planes.across * planes.down)
        self._since_key = 0
        self._keys = 0

    def picture(self, *, key: bool) -> bytes:
        """The NAL unit of the picture as it is drawn now; `key` makes one that stands alone."""
        changed = self._changed()
        if key:
            self._since_key, self._keys = 0, self._keys + 1
            every = enumerate(self._sent)
            header = slice_header(0, idr=self._keys % 2)
            return nal(IDR, slice_data(header, every, len(self._sent), I_PCM_IN_I))
        self._since_key += 1
        header = slice_header(self._since_key)
        moved = ((number, self._sent[number]) for number in changed)
        return nal(NON_IDR, slice_data(header, moved, len(self._sent), I_PCM_IN_P))

    def _changed(self) -> list[int]:
        changed = []
        for number in self._planes.take_touched():
            block = self._planes.macroblock(number)
            if block != self._sent[number]:
                self._sent[number] = block
                changed.append(number)
        return changed


def slice_data(header: str, blocks: Iterable[tuple[int, bytes]], total: int, i_pcm: int) -> bytes:
    """Slice data, §7.3.4: before each block its run of skipped ones (not in I slices), then
    mb_type, zero bits up to the next byte (pcm_alignment_zero_bit), and the samples."""
    runs = i_pcm == I_PCM_IN_P
    parts: list[bytes] = []
    waiting, following = header, 0
    for number, block in blocks:
        run = ue(number - following) if runs else ""
        parts += [aligned(waiting + run + ue(i_pcm)), block]
        waiting, following = "", number + 1
    if runs and following < total:
        waiting += ue(total - following)
    return b"".join([*parts, aligned(waiting + "1")])  # rbsp_slice_trailing_bits, §7.3.2.10


def slice_header(frame_num: int, *, idr: int | None = None) -> str:
    """The slice header, §7.3.3; `idr` is the idr_pic_id of a key picture, None in all others.

    Two key pictures in a row have different ids (§7.4.3).
    """
    bits = ue(0) + ue(5 if idr is None else 7) + ue(0)  # first_mb, slice_type, parameter set
    bits += format(frame_num % (1 << FRAME_NUM_BITS), f"0{FRAME_NUM_BITS}b")
    if idr is None:
        bits += "0" + "0"  # no override of the number of references, no other order of them
        bits += "0"  # adaptive_ref_pic_marking_mode_flag: the oldest reference goes
    else:
        bits += ue(idr) + "0" + "0"  # dec_ref_pic_marking of an IDR picture: nothing special
    return bits + se(0) + ue(1)  # slice_qp_delta, disable_deblocking_filter_idc


def sequence_parameters(width: int, height: int, rate: int) -> bytes:
    """The sequence parameter set, §7.3.2.1.1: `rate` pictures per second, in display order.

    Raises: ValueError where a size is odd, which 4:2:0 can't crop to.
    """
    if width % 2 or height % 2:
        raise ValueError("width and height must be even")
    across, down = -(-width // 16), -(-height // 16)
    bits = format(PROFILE, "08b") + format(CONSTRAINTS, "08b") + format(LEVEL, "08b")
    bits += ue(0) + ue(FRAME_NUM_BITS - 4) + ue(2)  # id, frame_num, pic_order_cnt_type: as coded
    bits += ue(1) + "0"  # one reference picture, no gaps
    bits += ue(across - 1) + ue(down - 1) + "1" + "1"  # frames only, direct_8x8_inference
    crop = ((16 * across - width) // 2, (16 * down - height) // 2)
    bits += "1" + ue(0) + ue(crop[0]) + ue(0) + ue(crop[1])
    return nal(SPS, aligned(bits + "1" + _usability(rate) + "1"))


def _usability(rate: int) -> str:
    """What vui_parameters says, §E.1.1: BT.709 in limited range, a clock, no reordering."""
    bits = "0" + "0"  # no aspect ratio, no overscan
    bits += "1" + "101" + "0" + "1" + 3 * format(1, "08b")  # colours: unspecified format, limited
    bits += "0"  # chroma location as usual
    bits += "1" + format(1, "032b") + format(2 * rate, "032b") + "1"  # two ticks a picture, fixed
    bits += "0" + "0" + "0"  # no HRD parameters (NAL, VCL), no pic_struct
    restriction = ue(0) + ue(0) + ue(16) + ue(16) + ue(0) + ue(1)  # reorder 0, buffer 1 picture
    return bits + "1" + "1" + restriction


def picture_parameters() -> bytes:
    """The picture parameter set, §7.3.2.2: CAVLC, one slice group, deblocking said per slice."""
    bits = ue(0) + ue(0) + "0" + "0" + ue(0)  # ids, entropy_coding_mode, field order, slice groups
    bits += ue(0) + ue(0) + "0" + "00"  # one reference each way, no weighted prediction
    bits += se(0) + se(0) + se(0)  # quantisers: nothing here is quantised
    bits += "1" + "0" + "0"  # deblocking_filter_control_present_flag, no more
    return nal(PPS, aligned(bits + "1"))


def nal(kind: int, payload: bytes) -> bytes:
    """A NAL unit, §7.3.1, a reference (nal_ref_idc 3), with emulation prevention (§7.4.1.1).

    No two zero bytes may be followed by a byte of 0..3, so a 3 is put between.
    """
    if b"\0\0" in payload:
        payload = re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", payload)
    return bytes([3 << 5 | kind]) + payload


@lru_cache(maxsize=1024)
def ue(value: int) -> str:
    """Unsigned Exp-Golomb code, §9.1."""
    bits = format(value + 1, "b")
    return "0" * (len(bits) - 1) + bits


def se(value: int) -> str:
    """Signed Exp-Golomb code, §9.1.1: 0, 1, -1, 2, -2 …"""
    return ue(2 * value - 1 if value > 0 else -2 * value)


@lru_cache(maxsize=1024)
def aligned(bits: str) -> bytes:
    """The bits as bytes, the last one filled up with zeros."""
    size = -(-len(bits) // 8)
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")
