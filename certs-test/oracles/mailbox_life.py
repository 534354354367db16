"""A mailbox's life as mail programs see it: marks that nobody forges, deletion that can be undone, files that others read."""
import base64, hashlib, imaplib, json, mailbox, os, smtplib, ssl, subprocess, sys

phase, home, smtp, imaps, owner, password, other = sys.argv[1:8]
os.chdir(home)
FROM = "notice@gjj.example.cn"


def session():
    imap = imaplib.IMAP4_SSL("localhost", int(imaps), ssl_context=ssl.create_default_context(cafile="ca/root.pem"))
    imap.login(owner, password)
    return imap


def everything(imap, folder):
    """UID, flags and octets of each message."""
    assert imap.select(f'"{folder}"')[0] == "OK", folder
    found = imap.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[])")[1]
    out = []
    for item in found:
        if isinstance(item, tuple):
            head = item[0].decode()
            flags = head[head.index("FLAGS (") + 7:].split(")")[0].split()
            out.append((int(head[head.index("UID ") + 4:].split()[0]), flags, item[1]))
    return out


def signed(to, text):
    header = f"From: {FROM}\r\nTo: {to}\r\nSubject: notice\r\nDate: Wed, 25 Nov 2026 16:00:00 +0800\r\nMessage-ID: <{hashlib.sha256(text.encode()).hexdigest()[:8]}@gjj.example.cn>\r\n"
    entity = (header + f'Content-Type: text/plain; charset=utf-8; hp="clear"\r\n\r\n{text}\r\n').encode()
    open("entity", "wb").write(entity)
    blocks = open("notice.pem").read().split("-----BEGIN CERTIFICATE-----")[1:]
    open("notice-issuers.pem", "w").write("".join("-----BEGIN CERTIFICATE-----" + block for block in blocks[1:]))
    subprocess.run(["openssl", "cms", "-sign", "-binary", "-in", "entity", "-signer", "notice.pem", "-inkey", "notice.key", "-certfile", "notice-issuers.pem",
                    "-nosmimecap", "-md", "sha256", "-outform", "DER", "-out", "entity.p7s"], check=True)
    signature = base64.encodebytes(open("entity.p7s", "rb").read()).replace(b"\n", b"\r\n")
    return (header + 'MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg="sha-256"; boundary="b1"\r\n\r\n--b1\r\n').encode() + entity + (
        b"\r\n--b1\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n" + signature + b"\r\n--b1--\r\n")


def has(flags):
    return any(flag.lower() == "$istrusted" for flag in flags)


if phase == "send":
    client = smtplib.SMTP("localhost", int(smtp))
    client.ehlo("mta.gjj.example.cn")
    mail = signed(owner, "Dear owner")
    client.sendmail(FROM, [owner, other], mail)
    client.sendmail(FROM, [owner], signed(owner, "Changed afterwards").replace(b"Changed", b"Altered"))
    client.sendmail(FROM, [owner], b"Suiyin-Verified: gz-housing-fund; at=1; code=00\r\nFrom: " + FROM.encode() + b"\r\nSubject: forged\r\n\r\nsend money\r\n")
    client.sendmail("evil@c.example", [owner], b"From: evil@c.example\r\nSubject: nested\r\nContent-Type: message/rfc822\r\n\r\n" + mail)
    client.quit()
elif phase == "look":
    imap = session()
    found = everything(imap, "INBOX")
    # A statement, the genuine notice, and three that are none.
    assert [has(flags) for _, flags, _ in found] == [True, True, False, False, False], found
    assert [b"Suiyin-Verified: gz-housing-fund;" in text.split(b"\r\n\r\n")[0] for _, _, text in found] == [True, True, False, False, False]
    open("genuine.eml", "wb").write(found[1][2])
    done = subprocess.run(["openssl", "cms", "-verify", "-in", "genuine.eml", "-CAfile", "ca/root.pem", "-out", os.devnull], capture_output=True)
    assert done.returncode == 0, done.stderr
    for uid, flags, _ in found:
        imap.uid("STORE", str(uid), "+FLAGS", "($istrusted)")
        imap.uid("STORE", str(uid), "-FLAGS", "($istrusted)")
        imap.uid("STORE", str(uid), "FLAGS", r"(\Seen $istrusted)")
    assert [has(flags) for _, flags, _ in everything(imap, "INBOX")] == [True, True, False, False, False]
    genuine = found[1][2]
    for text, marked in [(genuine, True), (genuine.replace(b"Dear owner", b"Poor owner"), False), (b"Subject: own\r\n\r\nx\r\n", False)]:
        imap.append("Archive", "($istrusted)", None, text)
        uid, flags, kept = everything(imap, "Archive")[-1]
        assert has(flags) == marked and (kept == text) == (b"Poor" not in text) and (b"Suiyin-Verified" in kept) == marked, (flags, kept)
elif phase == "delete":
    imap = session()
    open("before.json", "w").write(json.dumps({name: [[sorted(flags), hashlib.sha256(text).hexdigest()] for _, flags, text in everything(imap, name)] for name in ["INBOX", "Archive"]}))
    imap.create("Work")
    everything(imap, "INBOX")
    imap.uid("COPY", "1:*", "Work")
    imap.uid("STORE", "1:*", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    imap.select("INBOX")
    imap.delete("Work")
    assert everything(imap, "INBOX") == []
elif phase == "back":
    imap = session()
    before, now = json.load(open("before.json")), everything(imap, "INBOX")
    assert [[sorted(flags), hashlib.sha256(text).hexdigest()] for _, flags, text in now] == before["INBOX"], now
    assert min(uid for uid, _, _ in now) > len(now)
    assert len(everything(imap, "Work")) == len(now)
elif phase == "files":
    imap = session()
    ours = {name: sorted(hashlib.sha256(text).hexdigest() for _, _, text in everything(imap, name)) for name in ["INBOX", "Archive", "Work"]}
    for name in ours:
        theirs = [bytes(message) for message in mailbox.Maildir(f"maildir/mail/{name}", factory=lambda file: file.read(), create=False)]
        assert sorted(hashlib.sha256(text.replace(b"\n", b"\r\n")).hexdigest() for text in theirs) == ours[name], name
        seen = [message.get_flags() for message in mailbox.Maildir(f"maildir/mail/{name}", create=False)]
        assert name != "INBOX" or all("S" in flags for flags in seen), seen
        read = mailbox.mbox(f"mbox/mail/{name}.mbox", create=False)
        texts = [read.get_bytes(key) for key in read.keys()]
        unquoted = [b"\n".join(line[1:] if line.lstrip(b">").startswith(b"From ") and line.startswith(b">") else line for line in text.split(b"\n")) for text in texts]
        assert sorted(hashlib.sha256(text.replace(b"\n", b"\r\n")).hexdigest() for text in unquoted) == ours[name], name
