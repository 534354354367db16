"""A mailbox as Python's imaplib and curl use it. Usage: imap_client.py HOME SMTP_PORT IMAP_PORT IMAPS_PORT"""
import base64, csv, email, email.generator, email.policy, email.utils, imaplib, pathlib, re, smtplib, socket, ssl, subprocess, sys, time
from io import BytesIO

home, smtp, imap, imaps = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]
address, password = accounts[2]


def ok(said):
    status, data = said
    assert status == "OK", said
    return data


def no(said):
    assert said[0] == "NO", said
    return said[1][0]


def refuses(call):
    try:
        return call()[0] != "OK"
    except imaplib.IMAP4.error as error:
        assert not isinstance(error, imaplib.IMAP4.abort), error
        return True


def session(folder=None):
    client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    ok(client.login(address, password))
    if folder:
        ok(client.select(folder))
    return client


def name(text):
    """RFC 3501, 5.1.3: modified UTF-7, in quotation marks."""
    def shifted(match):
        return "&" + base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    return '"' + re.sub(r"[^\x20-\x7e]+", shifted, text.replace("&", "&-")) + '"'


def deliver(text):
    with smtplib.SMTP("localhost", smtp) as client:
        client.starttls(context=tls)
        client.sendmail("a@b.example", [address], text)


def uids(client, *criteria, literal=None):
    if literal is not None:
        client.literal = literal.encode()
    return ok(client.uid("SEARCH", *criteria))[0].split()


def flags(client, uid):
    return set(imaplib.ParseFlags(ok(client.uid("FETCH", uid, "(FLAGS)"))[0]))


def passwords():
    client = imaplib.IMAP4("localhost", imap)
    assert {"STARTTLS", "LOGINDISABLED"} <= set(client.capabilities) and not any(word.startswith("AUTH=") for word in client.capabilities)
    for attempt in (lambda: client.login(address, password), lambda: client.authenticate("PLAIN", lambda _: f"\0{address}\0{password}".encode())):
        try:
            attempt()
            raise AssertionError("a password in the clear")
        except imaplib.IMAP4.error as error:
            assert "PRIVACYREQUIRED" in str(error), error
    ok(client.starttls(tls))
    assert "AUTH=PLAIN" in client.capabilities and "LOGINDISABLED" not in client.capabilities
    ok(client.authenticate("PLAIN", lambda _: f"\0{address}\0{password}".encode()))
    client.logout()
    client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    for user, secret in [(address, password + "x"), ("0000000000", password), ("", ""), ("用户".encode(), password)]:
        try:
            client._simple_command("LOGIN", user, client._quote(secret)) if isinstance(user, bytes) else client.login(user, secret)
        except (imaplib.IMAP4.error, OSError) as error:
            assert not isinstance(error, imaplib.IMAP4.abort) or "Too many" in str(error) or "BYE" in str(error), error
        else:
            assert isinstance(user, bytes), "a wrong password opened a mailbox"
    # By its number alone, too.
    client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    ok(client.login(address.split("@")[0], password))
    client.logout()


def folders():
    client = session()
    listed = b"\n".join(ok(client.list())).decode()
    for folder, use in [("INBOX", ""), ("Archive", "\\Archive"), ("Drafts", "\\Drafts"), ("Junk", "\\Junk"), ("Sent", "\\Sent"), ("Trash", "\\Trash")]:
        assert re.search(rf'\([^)]*{re.escape(use)}[^)]*\) "/" "?{folder}"?', listed), (folder, listed)
    for text in ("对账单/2026年", "& 与 &", "🏠𠅤"):
        ok(client.create(name(text)))
        ok(client.subscribe(name(text)))
        ok(client.select(name(text)))
        assert no(client.create(name(text)))
    listed = b"\n".join(ok(client.list())).decode()
    for text in ("对账单", "对账单/2026年", "& 与 &", "🏠𠅤"):
        assert name(text) in listed, (text, listed)
    ok(client.rename(name("对账单"), name("账单")))
    assert name("账单/2026年") in b"\n".join(ok(client.list())).decode()
    ok(client.close())
    ok(client.delete(name("🏠𠅤")))
    ok(client.unsubscribe(name("🏠𠅤")))
    assert name("🏠𠅤") not in b"\n".join(ok(client.list()) + ok(client.lsub())).decode()
    assert no(client.delete("INBOX")) and no(client.select("nowhere")) and b"TRYCREATE" in no(client.append("nowhere", None, None, b"x"))
    client.logout()


def odd_messages():
    client = session("INBOX")
    high = bytes(range(0x80, 0x100))
    odd = [
        b"Subject: high\r\n\r\n" + high * 3 + bytes(range(1, 10)) + b"\x0b\x0c" + bytes(range(14, 128)),
        "Subject: 您好 🏠\r\nFrom: 陈一 <a@b.example>\r\n\r\n没有换行的结尾".encode(),
        b"no header at all",
        b"\r\n\r\nonly a body\r\n",
        b"Subject: gbk\r\nContent-Type: text/plain; charset=gbk\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + "广州公积金".encode("gbk") + b"\r\n",
        b"Subject: nested\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n{5}\r\n)* OK\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--x",
        b"Subject: long\r\n\r\n" + b"y" * 300_000 + b"\r\n",
    ]
    for message in odd:
        said = ok(client.append("INBOX", r"(\Seen $Label1 \Flagged)", '"01-Oct-2024 10:00:00 +0800"', message))
        uid = re.search(rb"APPENDUID \d+ (\d+)", said[0])[1]
        (head, found), *_ = ok(client.uid("FETCH", uid, "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
        assert found == message, (message[:60], found[:60])
        assert b'"01-Oct-2024 10:00:00 +0800"' in head and f"RFC822.SIZE {len(message)}".encode() in head, head
        assert {b"\\Seen", b"$Label1", b"\\Flagged"} <= set(imaplib.ParseFlags(head)) or {b"\\Seen", b"$Label1", b"\\Flagged"} <= flags(client, uid)
        (_, part), *_ = ok(client.uid("FETCH", uid, "(BODY.PEEK[]<5.10>)"))
        assert part == message[5:15]
        ok(client.uid("FETCH", uid, "(ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1])"))
        (_, header), (_, text), *_ = [part for part in ok(client.uid("FETCH", uid, "(BODY.PEEK[HEADER] BODY.PEEK[TEXT])")) if isinstance(part, tuple)]
        assert (header + text).replace(b"\r\n", b"") in message.replace(b"\r\n", b"") or header + text == message
        url = f"imaps://localhost:{imaps}/INBOX;UID={uid.decode()}"
        assert subprocess.run(["curl", "-sS", "--cacert", "ca/root.pem", "-u", f"{address}:{password}", url], cwd=home, check=True, capture_output=True).stdout == message
    url = f"imap://localhost:{imap}/INBOX;UID={uid.decode()}"
    assert subprocess.run(["curl", "-sS", "--ssl-reqd", "--cacert", "ca/root.pem", "-u", f"{address}:{password}", url], cwd=home, check=True, capture_output=True).stdout == message
    # What cannot be kept is refused, and the session stays in step.
    count = len(uids(client, "ALL"))
    assert refuses(lambda: client.append("INBOX", None, None, b"Subject: nul\r\n\r\n\0\r\n"))
    client.send(b"t1 APPEND INBOX {26214401}\r\n")
    said = client.readline()
    assert said.startswith(b"t1 NO [TOOBIG]"), said
    ok(client.noop())
    assert len(uids(client, "ALL")) == count
    client.logout()
    client = session("INBOX")
    client.send(b"t1 APPEND INBOX {26214401+}\r\n")
    try:
        for _ in range(26):
            client.send(b"z" * 1_048_576)
        assert client.readline().startswith((b"t1 NO [TOOBIG]", b"t1 BAD", b"* BYE"))
    except OSError:
        # spec: rfc7888#4 the server may close instead of reading what it will not keep
        pass
    client = session("INBOX")
    assert len(uids(client, "ALL")) == count
    client.logout()


def parenthesized(text):
    """Lists, strings, numbers and None."""
    stack = [[]]
    for token in re.findall(r'[()]|"(?:\\.|[^"\\])*"|[^\s()"]+', text):
        if token == "(":
            stack.append([])
        elif token == ")":
            whole = stack.pop()
            stack[-1].append(whole)
        elif token[0] == '"':
            stack[-1].append(re.sub(r"\\(.)", r"\1", token[1:-1]))
        else:
            stack[-1].append(None if token == "NIL" else int(token))
    assert len(stack) == 1, text
    return stack[0]


def octets(part):
    out = BytesIO()
    email.generator.BytesGenerator(out, mangle_from_=False, policy=email.policy.compat32.clone(linesep="\r\n", max_line_length=0)).flatten(part)
    return out.getvalue()


def envelope_by_python(message):
    people = lambda field: [[name or None, None, *address.rsplit("@", 1)] for name, address in email.utils.getaddresses(message.get_all(field, []))] or None
    sender = people("From")
    return [message["Date"], message["Subject"], sender, people("Sender") or sender, people("Reply-To") or sender, people("To"), people("Cc"), people("Bcc"), message["In-Reply-To"], message["Message-ID"]]


def structure_by_python(part):
    """RFC 3501, 7.4.2, out of what Python's email package makes of the message."""
    parameters = lambda field: [text for pair in (part.get_params([], field) or [])[1:] for text in pair] or None
    disposition = [part.get_content_disposition(), parameters("Content-Disposition")] if "Content-Disposition" in part else None
    kind, subtype = part.get_content_type().split("/")
    tail = [disposition, part["Content-Language"], part["Content-Location"]]
    if kind == "multipart":
        return [*map(structure_by_python, part.get_payload()), subtype, parameters("Content-Type"), *tail]
    inner = part.get_payload(0) if (kind, subtype) == ("message", "rfc822") else None
    body = octets(inner) if inner else octets(part).split(b"\r\n\r\n", 1)[1] if part.keys() else octets(part)[2:]
    told = [kind, subtype, parameters("Content-Type"), part["Content-ID"], part["Content-Description"], part.get("Content-Transfer-Encoding", "7BIT"), len(body)]
    if inner:
        told += [envelope_by_python(inner), structure_by_python(inner)]
    if inner or kind == "text":
        told.append(body.count(b"\n") + bool(body and not body.endswith(b"\n")))
    return [*told, part["Content-MD5"], *tail]


def structures():
    client = session("Drafts")
    text = "Content-Type: text/plain; charset=utf-8; format=flowed\n\none\ntwo\n"
    page = "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\nContent-Language: en\n\n<p>=E5=85=AC</p>"
    image = 'Content-Type: image/png; name="a b.png"\nContent-ID: <1@b.example>\nContent-Description: a picture\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename="a b.png"; size=4\n\niVBORw==\n'
    many = lambda subtype, boundary, *parts, head="": f'{head}Content-Type: multipart/{subtype}; boundary="{boundary}"\n\nbefore\n' + "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\nafter\n"
    head = 'Date: Tue, 01 Oct 2024 10:00:00 +0800\nFrom: "Doe, J" <a@b.example>, c@d.example\nReply-To: E <e@b.example>\nTo: f@b.example\nSubject: nested\nMessage-ID: <2@b.example>\nIn-Reply-To: <3@b.example>\n'
    letter = lambda message: f"Content-Type: message/rfc822\n\n{message}"
    both = many("alternative", "in side", text, page)
    whole = [
        head + text,
        many("mixed", "x", both, image, head=head),
        many("mixed", "x", text, letter(many("related", "y", page, image, head=head)), head=head),
        letter(head + letter(head + both)),
        many("digest", "x", f"\n{head}{text}", f"\n{head}\n", text, head=head),
        many("mixed", "x", "\n", "\n\n", "\nno end", "Content-Type: application/pdf\n\n\n\n", many("mixed", "x-y", both), head=head),
        head,
        "\nonly a body",
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n\nis not closed",
    ]
    for message in (message.replace("\n", "\r\n").encode() for message in whole):
        said = ok(client.append("Drafts", r"(\Seen)", None, message))
        uid = re.search(rb"APPENDUID \d+ (\d+)", said[0])[1]
        (told,) = ok(client.uid("FETCH", uid, "(ENVELOPE BODYSTRUCTURE)"))
        _, (_, _, _, envelope, _, structure) = parenthesized(re.sub(rb"\b(UID|ENVELOPE|BODYSTRUCTURE)\b", rb'"\1"', told, count=3).decode())
        parsed = email.message_from_bytes(message)
        assert envelope == envelope_by_python(parsed), (message, envelope, envelope_by_python(parsed))
        assert structure == structure_by_python(parsed), (message, structure, structure_by_python(parsed))
    client.logout()


def searches():
    deliver("Subject: =?UTF-8?B?5YWs56ev6YeR5a+56LSm5Y2V?=\r\nFrom: =?GBK?B?1tDOxA==?= <gjj@b.example>\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n5L2g5aW9IOmZiOS4gA==\r\n")
    client = session("INBOX")
    last = uids(client, "ALL")[-1:]
    for key, text in [("SUBJECT", "公积金"), ("TEXT", "陈一"), ("BODY", "你好"), ("FROM", "中文"), ("FROM", "GJJ@b"), ("TEXT", "对账")]:
        found = uids(client, "CHARSET", "UTF-8", key, literal=text)
        assert last[0] in found, (key, text, found)
    assert last[0] not in uids(client, "CHARSET", "UTF-8", "NOT", "SUBJECT", literal="公积金")
    gbk = uids(client, "SUBJECT", "gbk")
    assert uids(client, "CHARSET", "UTF-8", "BODY", literal="广州公积金") == gbk and len(gbk) == 1
    assert uids(client, "UNSEEN", "SINCE", "01-Jan-2025") == last and uids(client, "KEYWORD", "$Label1") == uids(client, "FLAGGED", "BEFORE", "01-Jan-2025")
    assert uids(client, "LARGER", "200000") == uids(client, "SUBJECT", "long")
    assert uids(client, "OR", "SUBJECT", "gbk", "(UNSEEN)") == gbk + last and uids(client, "HEADER", "Subject", "nested", "NOT", "DELETED")
    client.literal = "公积金".encode()
    assert b"BADCHARSET" in no(client.uid("SEARCH", "CHARSET", "GBK", "SUBJECT"))
    client.logout()


def flags_copies_and_ends():
    client, watcher = session("INBOX"), session("INBOX")
    archive, moved, gone = uids(client, "ALL")[:3]
    ok(client.uid("STORE", archive, "+FLAGS.SILENT", r"(\Answered $Work)"))
    ok(client.uid("STORE", archive, "-FLAGS", r"(\Seen)"))
    assert flags(client, archive) == {b"\\Answered", b"$Work", b"$Label1", b"\\Flagged"}
    ok(client.uid("STORE", archive, "FLAGS", r"(\Draft)"))
    ok(watcher.noop())
    assert flags(watcher, archive) == {b"\\Draft"}
    ok(client.uid("COPY", archive, name("账单/2026年")))
    count = int(watcher.select("INBOX")[1][0])
    ok(client.uid("MOVE", moved, name("账单/2026年")))
    ok(watcher.noop())
    assert watcher.response("EXPUNGE")[1] == [b"2"]
    ok(client.uid("STORE", gone, "+FLAGS", r"(\Deleted)"))
    ok(client.uid("EXPUNGE", archive))
    assert gone in uids(client, "ALL")
    ok(client.expunge())
    assert gone not in uids(client, "ALL") and moved not in uids(client, "ALL") and archive in uids(client, "ALL")
    assert int(client.select(name("账单/2026年"))[1][0]) == 2
    assert b"2" in ok(client.status(name("账单/2026年"), "(MESSAGES)"))[0]
    assert int(client.select("INBOX", readonly=True)[1][0]) == count - 2
    assert client.uid("STORE", archive, "+FLAGS", r"(\Seen)")[0] == "NO"
    # A statement is a message like any other: its owner may do away with it, and reading alone changes no flag.
    (_, first), *_ = ok(client.uid("FETCH", archive, "(BODY[])"))
    assert first and b"\\Seen" not in flags(client, archive)
    client.logout()
    watcher.logout()


def idle():
    client = session("INBOX")
    count = int(client.select("INBOX")[1][0])
    client.send(b"I1 IDLE\r\n")
    assert client.readline().startswith(b"+ ")
    began = time.monotonic()
    deliver(b"Subject: wake up\r\n\r\nnow\r\n")
    client.sock.settimeout(10)
    assert client.readline() == f"* {count + 1} EXISTS\r\n".encode()
    assert time.monotonic() - began < 5
    second = session("INBOX")
    ok(second.store(str(count + 1), "+FLAGS", r"(\Seen \Deleted)"))
    ok(second.expunge())
    said = client.readline()
    while b"EXPUNGE" not in said:
        assert b"FETCH" in said or b"EXISTS" in said or b"RECENT" in said, said
        said = client.readline()
    client.send(b"DONE\r\n")
    assert client.readline().startswith(b"I1 OK")
    client.logout()
    second.logout()


def nothing_from_before_tls():
    with socket.create_connection(("localhost", imap), 20) as sock:
        sock.recv(4096)
        sock.sendall(b"a STARTTLS\r\nb NOOP\r\n")
        said = sock.recv(4096)
        assert said.startswith(b"a OK") and said.count(b"\r\n") == 1, said
        with tls.wrap_socket(sock, server_hostname="localhost") as secure:
            secure.sendall(b"c NOOP\r\n")
            assert secure.recv(4096).startswith(b"c OK")


for judged in (passwords, folders, odd_messages, structures, searches, flags_copies_and_ends, idle, nothing_from_before_tls):
    judged()
    print(judged.__name__)
