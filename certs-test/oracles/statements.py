"""Judges every statement in the mailboxes of a city: fetched by imaplib and by curl, verified by OpenSSL, read by Python's email.

Usage: statements.py HOME IMAPS_PORT; HOME holds ca/root.pem, people.accounts.csv, city/ and the bureaus' sealing certificates.
"""
import base64, csv, email, email.policy, imaplib, json, pathlib, re, ssl, subprocess, sys

home, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
SENDERS = {"housing-fund": "gz-housing-fund", "pension": "gz-social-insurance"}
COUNTS = {"months_year", "months_actual", "months_deemed"}
HEADERS = {"from", "to", "subject", "date", "message-id", "auto-submitted", "statement-reference", "suiyin-verified", "content-language", "mime-version", "content-type"}


def run(*command):
    return subprocess.run(command, cwd=home, check=True, capture_output=True).stdout


def rows(kind):
    with open(home / f"city/{kind}.csv", encoding="utf-8", newline="") as file:
        return {row["stmt_id"]: row for row in csv.DictReader(file)}


def sealing_address(kind):
    said = run("openssl", "x509", "-in", f"{SENDERS[kind]}-seal.pem", "-noout", "-email").decode().split()
    assert len(said) == 1, said
    return said[0]


def fetched(address, password):
    """Every message of INBOX, by imaplib and, byte for byte the same, by curl."""
    context = ssl.create_default_context(cafile=home / "ca/root.pem")
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=context)
    client.login(address, password)
    assert client.select("INBOX", readonly=True)[0] == "OK"
    uids = client.uid("SEARCH", "ALL")[1][0].split()
    messages = []
    for uid in uids:
        status, parts = client.uid("FETCH", uid, "(BODY.PEEK[] RFC822.SIZE)")
        assert status == "OK" and len(parts[0][1]) == int(re.search(rb"RFC822.SIZE (\d+)", parts[0][0] + parts[1])[1])
        url = f"imaps://localhost:{port}/INBOX;UID={uid.decode()}"
        by_curl = run("curl", "-sS", "--cacert", "ca/root.pem", "-u", f"{address}:{password}", url)
        assert parts[0][1] == by_curl, f"curl reads {len(by_curl)} bytes, imaplib {len(parts[0][1])}"
        messages.append(by_curl)
    client.logout()
    return messages


def signed_part(message):
    boundary = re.search(rb'multipart/signed;.*?boundary="([^"]+)"', message, re.S)[1]
    return message.split(b"\r\n--" + boundary)[1].removeprefix(b"\r\n")


def verified(message):
    (home / "one.eml").write_bytes(message)
    for purpose in ("smimesign", "any"):
        run("openssl", "cms", "-verify", "-in", "one.eml", "-CAfile", "ca/root.pem", "-purpose", purpose, "-out", "one.content", "-signer", "one.signer")
        assert (home / "one.content").read_bytes() == signed_part(message), "OpenSSL read other content than was sent"
    return run("openssl", "x509", "-in", "one.signer", "-noout", "-email").decode().strip()


def verified_by_gnutls(message):
    """A second eye on the signature itself, and on what it covers."""
    encoded = message.split(b'filename="smime.p7s"\r\n\r\n')[1].split(b"\r\n\r\n--")[0]
    (home / "one.p7s").write_bytes(base64.b64decode(encoded))
    for content, holds in [(signed_part(message), True), (signed_part(message).replace(b"\r\n", b"\n"), False)]:
        (home / "one.content").write_bytes(content)
        command = ["certtool", "--p7-verify", "--inder", "--infile", "one.p7s", "--load-data", "one.content", "--load-ca-certificate", "ca/root.pem"]
        assert (subprocess.run(command, cwd=home, capture_output=True).returncode == 0) == holds, command


def figures(kind, attached, row):
    assert attached.pop("kind") == kind
    assert list(attached) == list(row), "other columns than the file's"
    for name, value in row.items():
        found = attached[name]
        if name == "name":
            assert found[0] == value[0] and set(found[1:]) == {"*"}
        elif name == "id_no":
            assert len(found) == len(value) and found.count("*") >= 10 and found[:3] == value[:3]
        elif name in ("acct_no", "unit_acct_no"):
            assert found.startswith("****") and value.endswith(found[4:]) and len(found) <= 8
        elif name in COUNTS:
            assert type(found) is int and str(found) == value
        else:
            assert found == value, name


def judge(message, address, city):
    parsed = email.message_from_bytes(message, policy=email.policy.default.clone(raise_on_defect=True))
    assert all(not part.defects for part in parsed.walk())
    assert {name.lower() for name in parsed.keys()} <= HEADERS, parsed.keys()
    assert len(parsed.keys()) == len({name.lower() for name in parsed.keys()}), "a field stands twice"
    assert all(len(line) <= 998 for line in message.split(b"\r\n"))
    assert b"\n" not in message.replace(b"\r\n", b"") and b"\r" not in message.replace(b"\r\n", b"")
    (attachment,) = [part for part in parsed.walk() if part.get_content_type() == "application/json"]
    told = attachment.get_content().decode()
    attached = json.loads(told)
    kind = attached["kind"]
    row = city[kind][attached["stmt_id"]]
    signer = verified(message)
    (sender,) = parsed["From"].addresses
    assert sender.addr_spec == signer == sealing_address(kind), (sender.addr_spec, signer)
    assert [to.addr_spec for to in parsed["To"].addresses] == [address]
    top = "\n".join(f"{name}: {value}" for name, value in parsed.items())
    assert not re.search(r"\d\.\d\d(?!\d)", top), "an amount in the header"
    assert row["period"][:4] in parsed["Subject"] and not re.search(r"\d{5,}", parsed["Subject"])
    texts = {part.get_content_type(): part.get_content() for part in parsed.walk() if part.get_content_maintype() == "text"}
    assert set(texts) == {"text/plain", "text/html"}
    for text in [top, told, *texts.values()]:
        assert row["id_no"] not in text and row["name"] not in text
        assert len(row["id_no"]) < 18 or row["id_no"][6:14] not in text, "a birthday"
        assert not row.get("acct_no") or row["acct_no"] not in text
    for text in texts.values():
        balance = row.get("close_bal") or row["close"]
        assert f"{float(balance):,.2f}" in text, "the balance is not told"
    assert not re.search(r"(?i)https?:|src=|url\(|<script|<link|<form|@import", texts["text/html"]), "remote content"
    figures(kind, attached, row)
    return kind, row["stmt_id"], parsed["Message-ID"]


city = {kind: rows(kind) for kind in SENDERS}
seen = []
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]
for message in fetched(*accounts[0]):
    verified_by_gnutls(message)
for address, password in accounts:
    found = [judge(message, address, city) for message in fetched(address, password)]
    assert sorted(kind for kind, _, _ in found) == sorted(SENDERS), (address, found)
    # Both are one person's: the city numbers its rows by people.
    assert len({statement[-8:] for _, statement, _ in found}) == 1
    seen += found
assert len({statement for _, statement, _ in seen}) == len({identifier for _, _, identifier in seen}) == 2 * len(accounts) > 0
print(len(seen))
