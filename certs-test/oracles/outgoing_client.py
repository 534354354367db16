"""Mail for other domains: what arrives there, what comes back, what an administrator does with the queue.
Usage: outgoing_client.py HOME MAILGW SUBMISSIONS_PORT IMAPS_PORT TAKEN"""
import base64, csv, imaplib, json, pathlib, smtplib, ssl, subprocess, sys, time
from email import message_from_bytes

import dkim

home, mailgw, submissions, imaps, taken = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), pathlib.Path(sys.argv[5])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]
(one, secret), (two, other_secret), *_ = accounts


def client():
    smtp = smtplib.SMTP_SSL("localhost", submissions, local_hostname="client.example", context=tls)
    smtp.login(one, secret)
    return smtp


def inbox(address=one, password=secret):
    imap = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    imap.login(address, password)
    imap.select("INBOX", readonly=True)
    messages = [imap.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in imap.search(None, "ALL")[1][0].split()]
    imap.logout()
    return messages


def arrived():
    return [json.loads(line) for line in taken.read_text().splitlines()] if taken.exists() else []


def until(found, what):
    end = time.monotonic() + 30
    while not (result := found()):
        assert time.monotonic() < end, f"{what}: {queue()}"
        time.sleep(0.1)
    return result


def gateway(*arguments, code=0):
    said = subprocess.run([mailgw, "--dir", home / "mailgw", "--passphrase-file", home / "pass", "--json", *arguments], capture_output=True, text=True)
    assert said.returncode == code, (arguments, said.returncode, said.stdout, said.stderr)
    return json.loads(said.stdout) if code == 0 else said.stderr


def queue():
    return gateway("queue", "list")["messages"]


def message(subject, body="正文 text\r\n.\r\n..two dots\r\n"):
    return f"From: {one}\r\nTo: list\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}".encode()


def reports():
    return [parsed for parsed in map(message_from_bytes, inbox()) if parsed.get_content_type() == "multipart/report"]


def report(count):
    """The last report, once there are so many: what it says of each recipient."""
    until(lambda: len(reports()) >= count, f"report {count}")
    last = reports()[-1]
    text, status, original = last.get_payload()
    _, *recipients = status.get_payload()
    return last, text.get_payload(decode=True).decode(), [(one["Final-Recipient"].split(";")[1], one["Action"], one["Status"]) for one in recipients], original


def sent():
    smtp = client()
    body = message("to a peer")
    smtp.sendmail(one, ["a@peer.example", "b@peer.example", two, "c@implicit.example"], body, mail_options=["BODY=8BITMIME"])
    until(lambda: len(arrived()) == 2 and not queue(), "sent")
    for told in arrived():
        content = base64.b64decode(told["bytes"])
        assert content.endswith(body) and told["from"] == one and told["tls"] and told["hello"] == "mx.mail.suiyin.example", told
        head = content.removesuffix(body)
        assert head.startswith(b"Received: ") or head.startswith(b"DKIM-Signature: "), head
        assert b"Message-ID: <" in head and b"\r\nDate: " in head and b"127.0.0.1" not in head, head
    assert sorted(told["to"] for told in arrived()) == [["a@peer.example", "b@peer.example"], ["c@implicit.example"]]
    assert inbox(two, other_secret)[-1].endswith(body)
    assert not reports()


def returned():
    smtp = client()
    smtp.sendmail(one, ["never1@peer.example", "ok@peer.example", "full@peer.example"], message("partly"), mail_options=["RET=HDRS", "ENVID=q1"])
    last, text, recipients, original = report(1)
    assert recipients == [("never1@peer.example", "failed", "5.1.1"), ("full@peer.example", "failed", "5.0.0")], recipients
    assert "对方没有这个邮箱" in text and "unknown here" in text and last["Return-Path"] == "<>" and "Subject: partly" in original.get_payload()
    assert original.get_content_type() == "text/rfc822-headers"
    smtp.sendmail(one, ["a@null.example"], message("null"))
    assert report(2)[2] == [("a@null.example", "failed", "5.1.10")]
    smtp.sendmail(one, ["a@nowhere.example"], message("nowhere"), mail_options=["RET=FULL"])
    _, text, recipients, original = report(3)
    assert recipients == [("a@nowhere.example", "failed", "5.1.2")] and "域名不存在" in text
    assert original.get_content_type() == "message/rfc822" and original.get_payload()[0]["Subject"] == "nowhere"
    # Back to this host: never in circles.
    smtp.sendmail(one, ["a@circle.example"], message("circle"))
    assert report(4)[2] == [("a@circle.example", "failed", "5.4.6")]
    smtp.sendmail(one, ["never2@peer.example"], message("silent"), rcpt_options=["NOTIFY=NEVER"])
    smtp.sendmail(one, ["ok2@peer.example"], message("receipt"), rcpt_options=["NOTIFY=SUCCESS"])
    assert report(5)[2] == [("ok2@peer.example", "relayed", "2.0.0")]
    # A receipt has no sender: nothing comes back.
    smtp.sendmail("", ["never3@peer.example"], message("a receipt"))
    until(lambda: not queue(), "settled")
    assert len(reports()) == 5, [str(one) for one in reports()]


def waiting():
    smtp = client()
    before = len(arrived())
    smtp.sendmail(one, ["later1@peer.example", "a@down.example"], message("patience"))
    (held,) = until(lambda: [one for one in queue() if all(recipient["tries"] == 1 for recipient in one["recipients"])], "tried once")
    later, down = held["recipients"]
    assert later["last"]["status"] == "4.7.1" and later["last"]["host"] == "mx1.peer.example" and down["last"]["status"] == "4.4.1", held
    assert 0 < later["due"] / 1000 - time.time() < 310
    gateway("queue", "hold", held["id"])
    assert "kept back" in gateway("queue", "flush", held["id"], code=5)
    gateway("queue", "release", held["id"])
    gateway("queue", "flush", held["id"])
    until(lambda: len(arrived()) == before + 1, "flushed")
    assert gateway("queue", "show", held["id"])["recipients"][0]["end"] == "sent"
    count = len(reports())
    gateway("queue", "cancel", held["id"])
    assert report(count + 1)[2] == [("a@down.example", "failed", "5.7.1")]
    gateway("queue", "show", held["id"], code=4)
    gateway("queue", "show", "no number", code=2)
    assert not queue()


def signed():
    """Two signatures that dkimpy verifies with the records we are told to publish, and that break when anything is added."""
    for bits, name in ((2048, "rsa.pem"), (1024, "weak.pem")):
        subprocess.run(["openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}", "-out", home / name], check=True, capture_output=True)
    assert "2048" in gateway("dkim", "new", "weak", "--rsa", home / "weak.pem", code=2)
    (made,) = gateway("dkim", "new", "2026a", "--rsa", home / "rsa.pem")
    records = {record["name"].rstrip(".") + ".": record["text"].encode() for record in made["records"]}
    assert not made["in_use"] and len(records) == 2, made
    gateway("dkim", "new", "2026a", code=5)
    gateway("dkim", "use", "2027a", code=4)
    smtp = client()
    smtp.sendmail(one, ["unsigned@peer.example"], message("before"))
    (used,) = gateway("dkim", "use", "2026a")
    assert used["in_use"]
    count = len(arrived())
    odd = f"From:  Somebody\r\n <{one}>\r\nSubject: 折行 \t of   spaces  \r\n\t more\r\nTo: a@peer.example\r\nX-Other: x\r\n\r\n\r\n  a \t b  \r\n.\r\n\r\nend\t\r\n\r\n\r\n".encode()
    for body in (message("after"), odd, f"From: {one}\r\n\r\n".encode()):
        smtp.sendmail(one, ["signed@peer.example", two], body)
    until(lambda: len(arrived()) >= count + 3 and not queue(), "signed")
    by_peer = [base64.b64decode(told["bytes"]) for told in arrived()]
    assert all(b"DKIM-Signature" not in content for content in by_peer if b"Subject: before" in content)
    asked = lambda name, **_: records.get(name.decode() if isinstance(name, bytes) else name)

    def good(content, index):
        try:
            return dkim.DKIM(content).verify(idx=index, dnsfunc=asked)
        except dkim.ValidationError:
            return False

    for content in by_peer[-3:] + inbox(two, other_secret)[-3:]:
        algorithms = [line for line in content.split(b"\r\n") if line.startswith(b"DKIM-Signature")]
        assert len(algorithms) == 2 and b"a=rsa-sha256" in algorithms[0] and b"a=ed25519-sha256" in algorithms[1], algorithms
        for index in (0, 1):
            assert good(content, index), content
            for more in (b"Subject: more\r\n", b"From: x@y.example\r\n", b"Date: now\r\n", b"Reply-To: x@y.example\r\n"):
                assert not good(more + content, index), more
            assert not good(content + b"more\r\n", index)
    shown = gateway("dkim", "show")
    assert [(one["selector"], one["in_use"]) for one in shown] == [("2026a", True)]


for step in (sent, returned, waiting, signed):
    step()
