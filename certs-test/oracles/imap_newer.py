"""IMAP4rev2 and what came after it, as Python's imaplib and zlib see it. Usage: imap_newer.py HOME IMAPS_PORT"""
import csv, imaplib, pathlib, re, ssl, sys, zlib

home, imaps = pathlib.Path(sys.argv[1]), int(sys.argv[2])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]
address, password = accounts[4]
for word in ("REPLACE", "COMPRESS", "UNAUTHENTICATE", "GETMETADATA", "SETMETADATA"):
    imaplib.Commands[word] = ("AUTH", "SELECTED")


def ok(said):
    assert said[0] == "OK", said
    return said[1]


class Client(imaplib.IMAP4_SSL):
    """imaplib, with compression beneath it once it is agreed."""

    squeezed = None

    def compress(self):
        ok(self._simple_command("COMPRESS", "DEFLATE"))
        self.squeezed = (zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15))
        self.plain, self.raw = b"", [0, 0]

    def send(self, data):
        if self.squeezed:
            packed = self.squeezed[0].compress(data) + self.squeezed[0].flush(zlib.Z_SYNC_FLUSH)
            return self.sock.sendall(packed)
        return super().send(data)

    def more(self):
        packed = self.sock.recv(65536)
        assert packed, "the connection ended"
        plain = self.squeezed[1].decompress(packed)
        self.raw = [self.raw[0] + len(packed), self.raw[1] + len(plain)]
        self.plain += plain

    def read(self, size):
        if not self.squeezed:
            return super().read(size)
        while len(self.plain) < size:
            self.more()
        data, self.plain = self.plain[:size], self.plain[size:]
        return data

    def readline(self):
        if not self.squeezed:
            return super().readline()
        while b"\n" not in self.plain:
            self.more()
        line, self.plain = self.plain.split(b"\n", 1)
        return line + b"\n"


def session(folder=None):
    client = Client("localhost", imaps, ssl_context=tls)
    ok(client.login(address, password))
    if folder:
        ok(client.select(folder))
    return client


def untagged(client, word):
    return client.response(word)[1]


client = session()
offered = set(ok(client.capability())[0].decode().split())
for word in ["IMAP4rev1", "IMAP4rev2", "UTF8=ACCEPT", "MULTIAPPEND", "REPLACE", "SAVEDATE", "PARTIAL", "UIDONLY", "ESORT", "COMPRESS=DEFLATE", "UNAUTHENTICATE", "METADATA"]:
    assert word in offered, (word, offered)

# Several messages in one command; their bytes as they were.
ok(client.create("newer"))
messages = [f"Subject: {n}\r\n\r\n{'行' * n}\r\n".encode() for n in range(1, 21)]
tag = client._new_tag()
client.send(tag + b" APPEND newer" + b"".join(b" (\\Flagged) {%d+}\r\n%s" % (len(message), message) for message in messages) + b"\r\n")
kind, said = client._command_complete("APPEND", tag)
assert kind == "OK" and re.search(rb"APPENDUID \d+ 1:20\]", said[0]), said
ok(client.select("newer"))
for number, message in enumerate(messages, 1):
    assert ok(client.fetch(str(number), "(BODY.PEEK[])"))[0][1] == message

# One in the place of another, seen by another session.
other = session("newer")
tag = client._new_tag()
client.send(tag + b" UID REPLACE 20 newer (\\Draft) {17+}\r\nSubject: 20'\r\n\r\nx\r\n")
kind, said = client._command_complete("REPLACE", tag)
assert kind == "OK" and untagged(client, "EXPUNGE") == [b"20"], said
ok(other.noop())
assert untagged(other, "EXPUNGE") == [b"20"] and untagged(other, "EXISTS")[-1] == b"20", other.untagged_responses
found = ok(client.uid("FETCH", "21", "(FLAGS SAVEDATE)"))[0].decode()
assert "\\Draft" in found and re.search(r'SAVEDATE "\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d \+0800"', found), found
ok(client.uid("SEARCH", None, "SAVEDSINCE", "1-Jan-2020"))
ok(client.uid("SORT", "RETURN (COUNT PARTIAL 1:3) (REVERSE SUBJECT)", "UTF-8", "ALL"))
assert untagged(client, "ESEARCH")[-1].endswith(b"UID PARTIAL (1:3 9,8,7) COUNT 20"), client.untagged_responses

# Annotations are the account's, not the session's.
tag = client._new_tag()
client.send(tag + b' SETMETADATA newer (/private/comment {9+}\r\n' + "公积金".encode() + b')\r\n')
assert client._command_complete("SETMETADATA", tag)[0] == "OK"
ok(other._simple_command("GETMETADATA", "newer", "/private/comment"))
assert "公积金".encode() in b"".join(part for one in untagged(other, "METADATA") for part in (one if isinstance(one, tuple) else [one])), other.untagged_responses

# UTF-8 names and headers.
third = session()
ok(third.enable("UTF8=ACCEPT"))
ok(third.create('"年报"'))
assert any("年报" in str(line, "utf-8") for line in ok(third.list('""', '"*"')))
tag = third._new_tag()
message = "Subject: 缴存\r\n\r\nx\r\n".encode()
third.send(tag + ' APPEND "年报" UTF8 (~{%d+}\r\n'.encode() % len(message) + message + b")\r\n")
assert third._command_complete("APPEND", tag)[0] == "OK"
ok(third.select('"年报"'))
assert ok(third.fetch("1", "(BODY.PEEK[])"))[0][1] == message
third.logout()

# By their UIDs alone.
fourth = session()
ok(fourth.enable("UIDONLY"))
ok(fourth.select("newer"))
try:
    fourth.fetch("1", "(FLAGS)")
    raise AssertionError("numbers were taken")
except imaplib.IMAP4.error as error:
    assert "UIDREQUIRED" in str(error), error
ok(fourth.uid("FETCH", "1:3", "(FLAGS)"))
fourth.logout()

# Compressed: everything as before, in fewer octets.
fifth = session()
fifth.compress()
ok(fifth.select("newer"))
for number, message in list(enumerate(messages, 1))[:19]:
    assert ok(fifth.fetch(str(number), "(BODY.PEEK[])"))[0][1] == message
large = b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 60_000
ok(fifth.append("newer", None, None, large))
ok(fifth.noop())
assert ok(fifth.fetch("21", "(BODY.PEEK[])"))[0][1] == large
assert fifth.raw[0] * 20 < fifth.raw[1], fifth.raw
# The login is given back, the connection stays.
ok(fifth._simple_command("UNAUTHENTICATE"))
fifth.state = "NONAUTH"
ok(fifth.login(*accounts[5]))
ok(fifth.select("INBOX"))
fifth.logout()
client.logout()
other.logout()
print("IMAP4rev2 and later: as they should be")
