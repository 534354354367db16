"""A mailbox as programs built on aioimaplib use it: one waits in IDLE while another writes. Usage: asyncio_client.py HOME SMTP_PORT IMAPS_PORT"""
import asyncio, csv, pathlib, re, smtplib, ssl, sys

import aioimaplib

home, smtp, imaps = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    address, password = [(line["address"], line["password"]) for line in csv.DictReader(file)][2]
FOLDER = "asyncio"
MESSAGES = [f"From: a@b.example\r\nTo: {address}\r\nMessage-ID: <{n}@b.example>\r\nSubject: {n}\r\n\r\n{'缴存 ' * n}{n}\r\n".encode() for n in range(1, 6)]


def ok(said):
    assert said.result == "OK", said
    return said.lines


async def session(folder=None):
    client = aioimaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls, timeout=30)
    await client.wait_hello_from_server()
    ok(await client.login(address, password))
    return client, ok(await client.select(folder)) if folder else None


async def notice(client, wanted):
    """What is pushed until a line of it matches; each push may hold several lines."""
    heard = []
    async with asyncio.timeout(30):
        while True:
            pushed = await client.wait_server_push(30)
            if isinstance(pushed, list):
                heard += [line for line in pushed if isinstance(line, bytes)]
            if any(re.search(wanted, line) for line in heard):
                return heard


def numbers(lines, name):
    return [line for line in lines if isinstance(line, bytes) and re.match(rb"\d+ " + name, line)]


async def judged():
    writer, _ = await session()
    for capability in ("IDLE", "UIDPLUS", "MOVE"):
        assert writer.has_capability(capability), capability
    wrong = aioimaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls, timeout=30)
    await wrong.wait_hello_from_server()
    assert (await wrong.login(address, "no password")).result == "NO"
    await wrong.logout()
    ok(await writer.create(FOLDER))
    for message in MESSAGES[:4]:
        ok(await writer.append(message, mailbox=FOLDER, flags=r"\Seen"))
    opened = ok(await writer.select(FOLDER))
    assert b"4 EXISTS" in opened and aioimaplib.extract_exists(await writer.select(FOLDER)) == 4, opened

    # Octet by octet, by number and by UID.
    for number, message in enumerate(MESSAGES[:4], 1):
        lines = ok(await writer.fetch(str(number), "(UID FLAGS RFC822.SIZE BODY.PEEK[])"))
        assert bytes(lines[1]) == message and str(len(message)).encode() in lines[0] and rb"\Seen" in lines[0], lines
    assert [bytes(line) for line in ok(await writer.uid("fetch", "1:*", "BODY.PEEK[]")) if isinstance(line, bytearray)] == MESSAGES[:4]
    assert ok(await writer.search("SUBJECT", "3"))[0].split() == [b"3"]
    assert ok(await writer.uid_search("BODY", '"缴存"', charset="utf-8"))[0].split() == [b"1", b"2", b"3", b"4"]

    # Another waits in IDLE: of what is appended, flagged and removed it is told as it happens, and of the mail that comes in.
    reader, opened = await session(FOLDER)
    assert b"4 EXISTS" in opened, opened
    idle = await reader.idle_start(timeout=120)
    ok(await writer.append(MESSAGES[4], mailbox=FOLDER))
    await notice(reader, rb"^5 EXISTS")
    ok(await writer.store("2", "+FLAGS", r"(\Deleted \Flagged)"))
    await notice(reader, rb"^2 FETCH .*\\Deleted")
    gone = ok(await writer.expunge())
    assert numbers(gone, b"EXPUNGE") == [b"2 EXPUNGE"], gone
    await notice(reader, rb"^2 EXPUNGE")
    reader.idle_done()
    await asyncio.wait_for(idle, 30)
    left = [bytes(line) for line in ok(await reader.uid("fetch", "1:*", "BODY.PEEK[]")) if isinstance(line, bytearray)]
    assert left == [MESSAGES[at] for at in (0, 2, 3, 4)], len(left)

    ok(await reader.select("INBOX"))
    idle = await reader.idle_start(timeout=120)

    def send():
        with smtplib.SMTP("localhost", smtp, local_hostname="b.example") as sender:
            sender.sendmail("a@b.example", [address], b"From: a@b.example\r\nSubject: while it waits\r\n\r\nx\r\n")

    await asyncio.to_thread(send)
    heard = await notice(reader, rb"^\d+ EXISTS")
    reader.idle_done()
    await asyncio.wait_for(idle, 30)
    newest = next(line for line in reversed(heard) if line.endswith(b"EXISTS")).split()[0].decode()
    lines = ok(await reader.fetch(newest, "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))
    assert b"while it waits" in bytes(lines[1]), lines

    # One goes over, one is unflagged; the folder goes at the end.
    ok(await reader.select(FOLDER))
    ok(await reader.move("1", "Archive"))
    lines = ok(await reader.uid("store", "3:*", "-FLAGS", r"(\Seen)"))
    assert len(numbers(lines, b"FETCH")) == 3 and rb"\Seen" not in b"".join(numbers(lines, b"FETCH")), lines
    ok(await reader.close())
    ok(await writer.close())
    ok(await writer.delete(FOLDER))
    for client in (reader, writer):
        ok(await client.logout())


asyncio.run(judged())
