"""Proves a file of delivery evidence without any program of ours but OpenSSL; written from the description of its form.
Usage: evidence.py FILE ROOT.pem. Prints a JSON object: events by name, the digests that were consigned."""
import base64, collections, hashlib, json, pathlib, subprocess, sys, tempfile

sha = lambda data: hashlib.sha256(data).digest()


def fold(hashes):
    """RFC 9162, 2.1.1: the left part is the largest power of two that is smaller than the whole."""
    if len(hashes) == 1:
        return hashes[0]
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    return sha(b"\x01" + fold(hashes[:cut]) + fold(hashes[cut:]))


def climb(leaf, index, size, path):
    """RFC 9162, 2.1.3.2."""
    fn, sn, at = index, size - 1, leaf
    for other in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            at = sha(b"\x01" + other + at)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            at = sha(b"\x01" + at + other)
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return at


def signed(line, root, place):
    """OpenSSL: the path, the revocation lists, the signature over the statement."""
    (place / "statement").write_bytes(line["statement"].encode())
    (place / "signature").write_bytes(base64.b64decode(line["signature"], validate=True))
    lists = b""
    for number, one in enumerate(line["revocation_lists"]):
        (place / "list").write_bytes(base64.b64decode(one, validate=True))
        lists += subprocess.run(["openssl", "crl", "-inform", "DER", "-in", place / "list"], check=True, capture_output=True).stdout
    (place / "lists").write_bytes(lists + root.read_bytes())
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", place / "signature", "-content", place / "statement", "-CAfile", place / "lists",
               "-purpose", "any", "-crl_check_all", "-extended_crl", "-policy", "1.3.6.1.4.1.32473.3.2", "-explicit_policy", "-out", "/dev/null"]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


events, consigned = collections.Counter(), []
with tempfile.TemporaryDirectory() as place:
    for text in pathlib.Path(sys.argv[1]).read_text().splitlines():
        line = json.loads(text)
        signed(line, pathlib.Path(sys.argv[2]), pathlib.Path(place))
        statement = json.loads(line["statement"])
        root, size = bytes.fromhex(statement["Root"]), statement["Items"]
        leaves = [sha(b"\x00" + shown["item"].encode()) for shown in line["items"]]
        if "path" not in line["items"][0]:
            assert len(leaves) == size and fold(leaves) == root, "a batch is not what was signed"
        for shown, leaf in zip(line["items"], leaves):
            if "path" in shown:
                assert climb(leaf, shown["index"], size, [bytes.fromhex(one) for one in shown["path"]]) == root, "an item is not what was signed"
            item = json.loads(shown["item"])
            name = item["ERDSEventId"].removeprefix("http://uri.etsi.org/19522/Event/")
            events[name] += 1
            if name == "ContentConsignment":
                consigned.append(item["UserContentInfo"]["DigestValue"])
print(json.dumps({"events": events, "consigned": consigned}))
