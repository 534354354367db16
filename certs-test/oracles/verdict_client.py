"""Mail from other hosts as it is judged: what is refused and why, where the rest is filed, what its header says, whose octets stay.
Usage: verdict_client.py HOME SMTP_PORT IMAPS_PORT MAILGW"""
import csv, imaplib, json, pathlib, smtplib, ssl, subprocess, sys

import dkim

home, port, imaps, mailgw = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rsa, ed25519 = (home / "rsa.pem").read_bytes(), (home / "ed25519.seed").read_bytes()
with open(home / "people.accounts.csv", newline="") as file:
    address, password = next((line["address"], line["password"]) for line in csv.DictReader(file))
count = 0


def message(author, extra=""):
    global count
    count += 1
    return f"{extra}From: {author}\r\nTo: {address}\r\nSubject: case {count}\r\nDate: Sun, 29 Nov 2026 08:00:00 +0000\r\nMessage-ID: <{count}@client.example>\r\n\r\n你好 hello {count}\r\n".encode()


def signed(body, domain, selector=b"r", **more):
    key, algorithm = (ed25519, b"ed25519-sha256") if selector == b"e" else (rsa, b"rsa-sha256")
    return dkim.sign(body, selector, domain, key, canonicalize=(b"relaxed", b"relaxed"), signature_algorithm=algorithm, **more) + body


def send(sender, body, helo="client.example"):
    with smtplib.SMTP("127.0.0.1", port, local_hostname=helo) as smtp:
        smtp.ehlo()
        try:
            smtp.sendmail(sender, [address], body, mail_options=["BODY=8BITMIME"])
        except smtplib.SMTPDataError as error:
            return error.smtp_code, error.smtp_error.decode()
    return 250, ""


def filed(folder):
    with imaplib.IMAP4_SSL("localhost", imaps, ssl_context=ssl.create_default_context(cafile=home / "ca/root.pem")) as imap:
        imap.login(address, password)
        imap.select(folder, readonly=True)
        found = []
        for number in imap.search(None, "ALL")[1][0].split():
            flags, content = imap.fetch(number, "(FLAGS BODY.PEEK[])")[1][0]
            found.append((flags.decode(), content))
        return found


def accepted(sender, body, folder, says, **more):
    """It comes into the folder with these words in our field, and with its own octets."""
    before = len(filed(folder))
    assert send(sender, body, **more) == (250, ""), (sender, says)
    found = filed(folder)
    assert len(found) == before + 1, (folder, says)
    flags, content = found[-1]
    assert content.endswith(body), content
    head = content[: -len(body)].decode()
    ours = head[head.index("Authentication-Results: mx.mail.suiyin.example"):head.index("Received: ")]
    for words in says:
        assert words in ours, (words, ours)
    assert ("$Junk" in flags) == (folder == "Junk"), flags
    return ours


def refused(sender, body, code, status, **more):
    said = send(sender, body, **more)
    assert said[0] == code and said[1].startswith(status), (said, body)


# 1. Whose it says it is: both signatures, the host, the policy.
good = message("good.example's <a@good.example>")
good = signed(signed(good, b"good.example"), b"good.example", b"e")
accepted("a@good.example", good, "INBOX", ["(accepted: dmarc);", "spf=pass smtp.mailfrom=good.example", "dkim=pass header.d=good.example header.s=r header.a=rsa-sha256 header.b=", "header.s=e header.a=ed25519-sha256", "dmarc=pass (p=reject) header.from=good.example"])
# Forwarded by a host that may not send for it: a signature is enough; so is a host without a signature.
accepted("list@other.example", signed(message("a@good.example"), b"good.example", b"e"), "INBOX", ["(accepted: dmarc);", "spf=none smtp.mailfrom=other.example"])
accepted("a@good.example", message("a@good.example"), "INBOX", ["dkim=none", "dmarc=pass"])
# 2. Not whose it says: what its domain asks is done.
refused("list@other.example", message("a@good.example"), 550, "5.7.26")
refused("list@other.example", message("a@deep.below.good.example"), 550, "5.7.26")
refused("a@good.example.evil.example", message("a@good.example"), 550, "5.7.26")
accepted("list@other.example", message("a@quarantine.example"), "Junk", ["(junk: dmarc-quarantine);", "dmarc=fail (p=quarantine)"])
accepted("list@other.example", message("a@watched.example"), "INBOX", ["(accepted: dmarc-asks-nothing);", "dmarc=fail (p=none)"])
# A test policy (t=y) is one step milder. rfc9989#4.7
accepted("list@other.example", message("a@trial.example"), "Junk", ["dmarc=fail (p=quarantine)"])
# 3. Signatures that do not hold.
changed = signed(message("a@good.example"), b"good.example").replace("你好".encode(), "再见".encode())
refused("list@other.example", changed, 550, "5.7.26")
refused("list@other.example", signed(message("a@good.example"), b"good.example", length=True) + b"more\r\n", 550, "5.7.26")
refused("list@other.example", signed(message("a@good.example"), b"other.example"), 550, "5.7.26")
ours = accepted("a@good.example", signed(message("a@good.example"), b"good.example", b"w"), "INBOX", ["dkim=permerror", "header.s=w"])
ours = accepted("a@good.example", signed(message("a@good.example"), b"good.example").replace(b"a=rsa-sha256", b"a=rsa-sha1"), "INBOX", ["dkim=policy (SHA-1)"])
# 4. Domains without a word of their own.
accepted("a@hard.example", message("a@hard.example"), "Junk", ["(junk: spf-fail);", "spf=fail smtp.mailfrom=hard.example", "dmarc=none"])
accepted("a@soft.example", message("a@soft.example"), "INBOX", ["(accepted: unknown);", "spf=softfail"])
accepted("", message("a@nothing.example"), "Junk", ["(junk: spf-fail);", "spf=fail smtp.helo=hard.example"], helo="hard.example")
accepted("a@loops.example", message("a@loops.example"), "INBOX", ["spf=permerror"])
accepted("a@other.example", message("a@good.example, b@other.example"), "Junk", ["(junk: several-authors);"])
accepted("a@other.example", message("nobody"), "Junk", ["(junk: no-author);"])
# 5. The DNS says nothing, or what it says is nobody's word: the other host tries again.
refused("a@silent.example", message("a@silent.example"), 451, "4.4.3")
refused("a@bogus.example", message("a@bogus.example"), 451, "4.4.3")
# 6. A forwarder that is believed says that it was good, and one that is not.
for domain, known in ((b"lists.example", True), (b"other.example", False)):
    results = f"Authentication-Results: {domain.decode()}; dmarc=pass header.from=good.example\r\n"
    changed = message("a@good.example", results)
    sealed = b"".join(dkim.arc_sign(changed, b"r", domain, rsa, domain)) + changed
    if known:
        accepted("list@other.example", sealed, "INBOX", ["(accepted: forwarder);", "arc=pass (lists.example)", "dmarc=fail (p=reject)"])
        refused("list@other.example", sealed.replace("你好".encode(), "再见".encode()), 550, "5.7.26")
    else:
        refused("list@other.example", sealed, 550, "5.7.26")
# 7. Nobody speaks for us.
forged = "Authentication-Results: mx.mail.suiyin.example; dmarc=pass\r\n"
kept = "Authentication-Results: other.example; dmarc=pass\r\nX-Other: mx.mail.suiyin.example\r\n"
assert send("list@other.example", message("a@quarantine.example", forged + kept + forged)) == (250, "")
_, content = filed("Junk")[-1]
assert content.count(b"mx.mail.suiyin.example") == 3 and content.count(b"Authentication-Results: mx.mail.suiyin.example") == 1 and kept.encode() in content, content
# 8. A header full of signatures costs little.
many = signed(message("a@good.example"), b"good.example")
signature = many[: many.index(b"From: ")]
accepted("a@good.example", signature * 200 + many, "INBOX", ["dkim=pass", "dkim=policy (there are too many signatures)"])
# 9. Who asked to hear that it arrived, and is who it says, hears so.
for sender, proved in (("a@good.example", True), ("a@hard.example", False)):
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.example") as smtp:
        smtp.ehlo()
        assert smtp.has_extn("dsn") and smtp.has_extn("chunking") and smtp.has_extn("binarymime") and smtp.esmtp_features["limits"].strip() == "RCPTMAX=100", smtp.esmtp_features
        smtp.sendmail(sender, [address], message(sender), mail_options=["BODY=8BITMIME", "ENVID=QQ1", "RET=HDRS"], rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
said = subprocess.run([mailgw, "--dir", home / "mailgw", "--passphrase-file", home / "pass", "--json", "queue", "list"], capture_output=True, text=True)
waiting = json.loads(said.stdout)["messages"]
assert [message["mailbox"] for message in waiting] == [""], said
shown = subprocess.run([mailgw, "--dir", home / "mailgw", "--passphrase-file", home / "pass", "--json", "queue", "show", waiting[0]["id"]], capture_output=True, text=True).stdout
assert "a@good.example" in shown, shown
# 10. A neighbour on this machine has judged what it brings; each recipient is answered for.
with smtplib.LMTP(str(home / "lmtp.sock")) as lmtp:
    before = len(filed("INBOX"))
    refusals = lmtp.sendmail("list@other.example", [address, "0000000006@mail.suiyin.example"], message("a@quarantine.example"), mail_options=["BODY=8BITMIME"])
    assert list(refusals) == ["0000000006@mail.suiyin.example"] and refusals["0000000006@mail.suiyin.example"][0] == 550, refusals
    content = filed("INBOX")[-1][1]
    assert len(filed("INBOX")) == before + 1 and b"(accepted: not-judged);" in content and b" with LMTP id " in content, content
# 11. What is not well with all this is told.
said = subprocess.run([mailgw, "--dir", home / "mailgw", "--passphrase-file", home / "pass", "--json", "doctor"], capture_output=True, text=True)
for words in ("proves nothing", "MX of mail.suiyin.example", "SPF of mail.suiyin.example", "is not signed"):
    assert words in said.stdout, said
print("judged")
