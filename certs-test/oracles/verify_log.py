"""Verifies a log, exported or served; written from ca/merkle/FORMAT.md. Usage: verify_log.py DIRECTORY-OR-URL VKEY"""
import base64, hashlib, json, pathlib, sys, urllib.request
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

sha = lambda data: hashlib.sha256(data).digest()


def fold(hashes):
    """The root over a list of hashes: the left part is the largest power of two that is smaller than the whole."""
    if len(hashes) == 1:
        return hashes[0]
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    return sha(b"\x01" + fold(hashes[:cut]) + fold(hashes[cut:]))


def path(kind, index, width):
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{kind}/" + "/".join(groups) + ("" if width == 256 else f".p/{width}")


def checkpoint(note, vkey):
    name, key_id, key = vkey.split("+", 2)
    key = base64.b64decode(key, validate=True)
    assert key[0] == 1 and sha(name.encode() + b"\n" + key)[:4].hex() == key_id, "the key does not fit its id"
    text, lines = note.rsplit("\n\n", 1)
    signed = False
    for line in lines.splitlines():
        dash, signer, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if (signer, blob[:4].hex()) == (name, key_id):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(blob[4:], text.encode() + b"\n")
            signed = True
    origin, size, root = text.split("\n")
    assert signed and origin == name, "not signed by this log"
    return int(size), base64.b64decode(root, validate=True)


def verify(place, vkey):
    served = lambda name: urllib.request.urlopen(f"{place}/{name}", timeout=30).read()
    read = served if place.startswith("http://") else lambda name: (pathlib.Path(place) / name).read_bytes()
    size, root = checkpoint(read("checkpoint").decode(), vkey)
    hashes = []
    for start in range(0, size, 256):
        width = min(256, size - start)
        bundle, at = read(path("entries", start // 256, width)), 0
        for _ in range(width):
            end = at + 2 + int.from_bytes(bundle[at:at + 2], "big")
            entry = bundle[at + 2:end]
            assert len(bundle) >= end and entry[0] == 1 and entry[1] != 0, "no entry of a known form"
            assert isinstance(json.loads(entry[10:].decode()), dict), "the payload is no JSON object"
            hashes.append(sha(b"\x00" + entry))
            at = end
        assert at == len(bundle), "octets follow the last entry"
    assert (fold(hashes) if hashes else sha(b"")) == root, "the entries have another root"
    for level in range(8):
        for start in range(0, len(hashes), 256):
            row = hashes[start:start + 256]
            assert read(path(level, start // 256, len(row))) == b"".join(row), f"a tile of level {level} is not of these entries"
        hashes = [fold(hashes[i:i + 256]) for i in range(0, len(hashes) - 255, 256)]
    return size


print(verify(sys.argv[1], sys.argv[2]), "entries verified")
