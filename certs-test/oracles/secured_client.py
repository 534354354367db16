"""Mail for domains that promise something of TLS: what goes, what waits, what comes back and in which words.
Usage: secured_client.py HOME MAILGW SUBMISSIONS_PORT IMAPS_PORT TAKEN"""
import csv, imaplib, json, pathlib, smtplib, ssl, subprocess, sys, time
from email import message_from_bytes

home, mailgw, submissions, imaps, taken = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), pathlib.Path(sys.argv[5])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    one, secret = next((line["address"], line["password"]) for line in csv.DictReader(file))


def send(to, extra="", options=()):
    with smtplib.SMTP_SSL("localhost", submissions, local_hostname="client.example", context=tls) as smtp:
        smtp.login(one, secret)
        smtp.sendmail(one, [to], f"From: {one}\r\nTo: <{to}>\r\nSubject: to {to}\r\n{extra}\r\nhello\r\n".encode(), mail_options=list(options))


def arrived(to):
    lines = [json.loads(line) for line in taken.read_text().splitlines()] if taken.exists() else []
    return [line for line in lines if line["to"] == [to]]


def until(found, what):
    end = time.monotonic() + 120
    while not (result := found()):
        assert time.monotonic() < end, (what, queue())
        time.sleep(0.1)
    return result


def queue():
    said = subprocess.run([mailgw, "--dir", home / "mailgw", "--passphrase-file", home / "pass", "--json", "queue", "list"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    shown = []
    for message in json.loads(said.stdout)["messages"]:
        said = subprocess.run([mailgw, "--dir", home / "mailgw", "--passphrase-file", home / "pass", "--json", "queue", "show", message["id"]], capture_output=True, text=True)
        shown.append(said.stdout)
    return shown


def goes(to, tls=True, **more):
    send(to, **more)
    told = until(lambda: arrived(to), to)[-1]
    assert told["tls"] == tls, told
    return told


def waits(to, status, words):
    send(to)
    found = lambda: [text for text in queue() if to in text and status in text]
    shown = until(found, (to, status))[0]
    assert words in shown and not arrived(to), shown


def reports():
    with imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls) as imap:
        imap.login(one, secret)
        imap.select("INBOX", readonly=True)
        return [message_from_bytes(imap.fetch(number, "(BODY.PEEK[])")[1][0][1]) for number in imap.search(None, "ALL")[1][0].split()]


# 1. DANE: the key that the signed zone names, an authority, and what does not agree.
goes("a@dane.example")
goes("a@danetaken.example")
waits("a@danebad.example", "4.7.5", "certificate")
waits("a@danenotls.example", "4.7.10", "TLS")
# Records that cannot be used: TLS with whomever, and nothing in the clear.
goes("a@daneodd.example")
waits("a@daneoddclear.example", "4.7.10", "TLS")
# A zone that is not signed promises nothing.
goes("a@daneless.example")
# 2. MTA-STS: a name that an authority vouches for, of a server that the policy names.
goes("a@sts.example")
waits("a@stsbad.example", "4.7.5", "certificate")
waits("a@stsother.example", "4.7.5", "MTA-STS")
waits("a@stsclear.example", "4.7.10", "TLS")
# What is tested is not enforced; a policy that cannot be had is none.
goes("a@ststest.example")
goes("a@stsgone.example")
# It is kept: the second message asks nobody.
before = (home / "policies/asked").read_text().count("sts.example\n")
goes("b@sts.example")
assert (home / "policies/asked").read_text().count("sts.example\n") == before
# 3. Nothing promised: TLS where there is some, and in the clear where there is none.
goes("a@nothing.example")
goes("a@clear.example", tls=False)
# 4. The sender's word: delivery counts for more; and under TLS alone, or not at all.
assert "TLS-Required: No" in goes("b@danebad.example", extra="TLS-Required: No\r\n")["content"]
assert goes("c@sts.example", options=["REQUIRETLS"])["require_tls"]
assert goes("b@dane.example", options=["REQUIRETLS"])["require_tls"]
# Proved, and without a promise to pass it on under TLS alone: it takes mail, and not this.
goes("a@danelacks.example")
for to in ("b@nothing.example", "b@clear.example", "b@danelacks.example"):
    count = len(reports())
    send(to, options=["REQUIRETLS", "RET=FULL"])
    until(lambda: len(reports()) > count, to)
    report = reports()[-1]
    text = report.get_payload()[0].get_payload(decode=True).decode()
    assert "REQUIRETLS" in text and "全程加密" in text and "5.7.30" in report.get_payload()[1].as_string() and not arrived(to), text
    # The header comes back alone, though all of it was asked for.
    original = report.get_payload()[2]
    assert original.get_content_type() == "text/rfc822-headers" and f"Subject: to {to}" in original.as_string() and "hello" not in original.as_string(), original.as_string()
print("judged")
