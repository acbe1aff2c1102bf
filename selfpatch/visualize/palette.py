"""Index -> colour: the palette of DAVIS's and PASCAL VOC's indexed PNGs."""


def standard_palette() -> list[int]:
    """The 256 colours as 768 values: the bits of an index, dealt out to red, green and blue.

    Bit 3 k + c of the index becomes bit 7 - k of channel c.
    """
    palette = []
    for index in range(256):
        for channel in range(3):
            palette.append(sum((index >> (3 * k + channel) & 1) << (7 - k) for k in range(8)))
    return palette
