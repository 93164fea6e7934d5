"""Compressed bodies read back, by codecs that share no code with weir."""
import gzip
import subprocess
import zlib


def unpack(coding, body):
    """The plain bytes, by somebody else's codec."""
    if coding == "gzip":
        return gzip.decompress(body)
    if coding in ("deflate", "zlib"):
        return zlib.decompress(body)
    if coding in ("zstd", "lz4"):
        return subprocess.run([coding, "-dc"], input=body, stdout=subprocess.PIPE, check=True).stdout
    if coding == "snappy":
        import snappy  # pylint: disable=import-outside-toplevel
        return snappy.uncompress(body)
    if coding == "x-snappy-framed":
        return unpack_snappy_frames(body)
    if coding:
        raise ValueError(f"unknown coding {coding}")
    return body


def unpack_snappy_frames(body):
    """By the description of the format; python-snappy's own reader does not work with Python 3.11."""
    import snappy  # pylint: disable=import-outside-toplevel
    assert body[:10] == b"\xff\x06\x00\x00sNaPpY", "no stream identifier"
    plain, at = b"", 10
    while at < len(body):
        kind, size = body[at], int.from_bytes(body[at + 1:at + 4], "little")
        chunk = body[at + 4:at + 4 + size]
        assert kind in (0, 1) and len(chunk) == size, f"chunk {kind} of {size} bytes"
        plain += snappy.uncompress(chunk[4:]) if kind == 0 else chunk[4:]  # after the checksum
        at += 4 + size
    return plain
