"""Mail of those who log in, as Python's smtplib, curl and raw sockets send it.
Usage: submission_client.py HOME SUBMISSION_PORT SUBMISSIONS_PORT IMAPS_PORT"""
import base64, csv, imaplib, pathlib, re, smtplib, socket, ssl, subprocess, sys, time
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

home, starttls, implicit, imaps = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:5])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]
with open(home / "institutions.accounts.csv", newline="") as file:
    institutions = [(line["address"], line["password"]) for line in csv.DictReader(file)]
(one, secret), (two, other_secret), *_ = accounts


def client(logged_in=True, account=(one, secret)):
    smtp = smtplib.SMTP_SSL("localhost", implicit, local_hostname="client.example", context=tls)
    smtp.ehlo()
    if logged_in:
        smtp.login(*account)
    return smtp


def inbox(address, password):
    imap = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    imap.login(address, password)
    imap.select("INBOX", readonly=True)
    messages = [imap.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in imap.search(None, "ALL")[1][0].split()]
    imap.logout()
    return messages


def letter(subject, author=one, to=two, **fields):
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = author, to, subject
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("正文 and text\n")
    return message


def refused(expected, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except smtplib.SMTPRecipientsRefused as error:
        ((code, text),) = error.recipients.values()
    except smtplib.SMTPResponseException as error:
        code, text = error.smtp_code, error.smtp_error
    else:
        raise AssertionError(f"{call} {arguments} was not refused")
    assert code == expected and re.match(rb"[245]\.\d+\.\d+ ", text), (code, text)


def logins():
    clear = smtplib.SMTP("localhost", starttls)
    clear.ehlo()
    assert "auth" not in clear.esmtp_features and clear.docmd("AUTH PLAIN AGEAYg==")[0] == 538
    assert clear.docmd(f"MAIL FROM:<{one}>")[0] == 530
    clear.starttls(context=tls)
    clear.ehlo()
    assert clear.esmtp_features["auth"].split()[:2] == ["PLAIN", "LOGIN"] and "dsn" in clear.esmtp_features
    clear.user, clear.password = one, secret
    assert clear.auth("LOGIN", clear.auth_login)[0] == 235
    assert clear.docmd("AUTH PLAIN AGEAYg==")[0] == 503
    clear.quit()
    begun = time.monotonic()
    refused(535, client(False).login, one, "wrong")
    refused(535, client(False).login, "0000000006@" + one.split("@")[1], "wrong")
    assert time.monotonic() - begun >= 4, "guesses are answered at once"
    smtp = client(False)
    refused(530, smtp.send_message, letter("nobody"), one, [two])


def completed():
    smtp = client()
    message = letter("完成 completed", Bcc=accounts[2][0])
    # smtplib itself leaves Bcc out: this one is sent as it stands.
    smtp.sendmail(one, [two, accounts[2][0]], message.as_bytes())
    for account in accounts[1:3]:
        kept = inbox(*account)[-1]
        assert b"bcc" not in kept.lower() and accounts[2][0].encode() not in kept, kept
        parsed = message_from_bytes(kept)
        assert parsed["Message-ID"].endswith("@" + one.split("@")[1] + ">") and parsed["Date"], kept
        assert parsed["Return-Path"] == f"<{one}>" and "ESMTPSA" in parsed["Received"], kept
        assert b"127.0.0.1" not in kept and b"client.example" not in kept, "where its writer sits is told"
    given = letter("named", Message_ID="<mine@client.example>", Date="Tue, 01 Oct 2024 10:00:00 +0800")
    smtp.sendmail(one, [two], given.as_bytes())
    kept = message_from_bytes(inbox(two, other_secret)[-1])
    assert (kept["Message-ID"], kept["Date"]) == ("<mine@client.example>", "Tue, 01 Oct 2024 10:00:00 +0800")
    smtp.quit()


def as_oneself():
    smtp = client()
    refused(550, smtp.sendmail, two, [one], letter("forged").as_bytes())
    refused(550, smtp.sendmail, "friend@example.com", [one], letter("forged").as_bytes())
    bureau = institutions[0][0]
    for author in (two, bureau, "friend@example.com", f"{one}, {two}", f'"{bureau}" <{one}>'):
        message = f"From: {author}\r\nSubject: forged\r\n\r\nx\r\n".encode()
        refused(550, smtp.sendmail, one, [two], message)
    refused(550, smtp.sendmail, one, [two], f"From: {one}\r\nFrom: {two}\r\nSubject: forged\r\n\r\nx\r\n".encode())
    refused(550, smtp.sendmail, one, [two], f"From: {one}\r\nSender: {two}\r\nSubject: forged\r\n\r\nx\r\n".encode())
    assert not any(b"forged" in message for account in accounts[:2] for message in inbox(*account))
    refused(550, smtp.sendmail, one, ["a@[127.0.0.1]"], letter("literal").as_bytes())
    refused(550, smtp.sendmail, one, ["0000000006@" + one.split("@")[1]], letter("nobody").as_bytes())
    smtp.quit()
    # A name of an institution is its own, beside its number.
    address, password = institutions[0]
    alias = client(account=(address, password))
    alias.sendmail(address, [one], letter("alias", author=address).as_bytes())
    alias.quit()
    assert b"Subject: alias" in inbox(one, secret)[-1]


def told():
    smtp = client()
    smtp.sendmail(one, [two], letter("receipt").as_bytes(), mail_options=["RET=HDRS", "ENVID=abc+2B1"], rcpt_options=["NOTIFY=SUCCESS", f"ORCPT=rfc822;{two}"])
    smtp.quit()
    report = message_from_bytes(inbox(one, secret)[-1])
    assert report.get_content_type() == "multipart/report" and report.get_param("report-type") == "delivery-status"
    assert report["Return-Path"] == "<>" and report["Auto-Submitted"] == "auto-replied"
    text, status, original = report.get_payload()
    whole, recipient = status.get_payload()
    assert whole["Original-Envelope-Id"] == "abc+1" and whole["Reporting-MTA"].startswith("dns;"), whole
    assert (recipient["Action"], recipient["Final-Recipient"], recipient["Original-Recipient"]) == ("delivered", f"rfc822;{two}", f"rfc822;{two}"), recipient
    assert "已送达" in text.get_payload(decode=True).decode() and "receipt" in original.get_payload()


def by_curl():
    (home / "by-curl.eml").write_bytes(letter("by curl").as_bytes())
    for url, more in ((f"smtps://localhost:{implicit}/client.example", []), (f"smtp://localhost:{starttls}/client.example", ["--ssl-reqd"])):
        for options in ([], ["--login-options", "AUTH=LOGIN"]):
            command = ["curl", "-sS", *more, "--cacert", home / "ca/root.pem", "--url", url, "--user", f"{one}:{secret}", "--mail-from", one, "--mail-rcpt", two, "--upload-file", home / "by-curl.eml", *options]
            said = subprocess.run(command, capture_output=True, text=True)
            assert said.returncode == 0, said.stderr
    assert sum(b"Subject: by curl" in message for message in inbox(two, other_secret)) == 4


def raw():
    def talk(data, wrap=False):
        raw = socket.create_connection(("localhost", starttls))
        raw.settimeout(20)
        assert raw.recv(1000).startswith(b"220 ")
        raw.sendall(data)
        said = b""
        while not said.endswith(b"\r\n") or said[-6:-2].isdigit():
            said += raw.recv(4096)
        return raw, said
    # What was pipelined in the clear behind STARTTLS counts for nothing under TLS.
    raw_socket, said = talk(b"EHLO x\r\nSTARTTLS\r\nAUTH PLAIN AGEAYg==\r\n")
    secured = tls.wrap_socket(raw_socket, server_hostname="localhost")
    secured.sendall(b"NOOP\r\n")
    assert secured.recv(1000).startswith(b"250 "), "a command from before TLS was answered"
    # A lone LF ends no message: nothing is smuggled.
    secured.sendall(b"EHLO x\r\nAUTH PLAIN " + base64.b64encode(f"\0{one}\0{secret}".encode()) + b"\r\n")
    time.sleep(1)
    assert b"235 " in secured.recv(10_000)
    secured.sendall(f"MAIL FROM:<{one}>\r\nRCPT TO:<{two}>\r\nDATA\r\nFrom: {one}\r\nSubject: smuggled\r\n\r\nx\n.\nMAIL FROM:<a@b.example>\r\n.\r\n".encode())
    said = b""
    while said.count(b"\r\n") < 4:
        said += secured.recv(10_000)
    assert b"554 5.6.0" in said, said
    assert not any(b"smuggled" in message for message in inbox(two, other_secret))


for step in (logins, completed, as_oneself, told, by_curl, raw):
    step()
