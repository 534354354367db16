"""Mail from other hosts, as Python's smtplib, curl and raw sockets send it. Usage: smtp_client.py HOME SMTP_PORT IMAPS_PORT"""
import csv, imaplib, pathlib, re, smtplib, socket, ssl, subprocess, sys
from email.message import EmailMessage
from email.policy import SMTPUTF8

home, port, imaps = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]
(one, secret), (two, other_secret) = accounts[:2]
domain = one.split("@")[1]
SIZE = 26_214_400


def client():
    smtp = smtplib.SMTP("localhost", port, local_hostname="client.example")
    smtp.ehlo()
    return smtp


def secured():
    smtp = client()
    assert smtp.starttls(context=tls)[0] == 220
    smtp.ehlo()
    return smtp


def inbox(address=one, password=secret):
    imap = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    imap.login(address, password)
    imap.select("INBOX", readonly=True)
    messages = [imap.fetch(number, "(BODY.PEEK[])")[1][0][1] for number in imap.search(None, "ALL")[1][0].split()]
    imap.logout()
    return messages


def kept(sent, address=one, password=secret):
    """The last message, below the trace fields, is byte for byte what was sent."""
    last = inbox(address, password)[-1]
    assert last.endswith(sent), (sent[-200:], last[-200:])
    trace = last.removesuffix(sent)
    assert re.match(rb"Return-Path: <[^>]*>\r\nAuthentication-Results: [^\r]*\r\n\tnone\r\nReceived: from ", trace) and trace.endswith(b"\r\n"), trace
    assert not re.search(rb"\r\n[^\t A-Z]", trace), trace
    return trace


def refused(expected, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except smtplib.SMTPRecipientsRefused as error:
        ((code, text),) = error.recipients.values()
    except smtplib.SMTPResponseException as error:
        code, text = error.smtp_code, error.smtp_error
    else:
        raise AssertionError(f"{call} {arguments} was not refused")
    assert code == expected and re.match(rb"[245]\.\d\.\d ", text), (code, text)


def what_is_offered():
    smtp = client()
    features = set(smtp.esmtp_features)
    assert {"pipelining", "size", "8bitmime", "smtputf8", "starttls", "enhancedstatuscodes"} <= features, features
    assert smtp.esmtp_features["size"] == str(SIZE) and "auth" not in features
    for command in ("AUTH PLAIN AGEAYg==", "AUTH LOGIN"):
        assert smtp.docmd(command)[0] in (500, 502, 503), "a password in the clear"
    assert smtp.docmd("VRFY", one)[0] == 252 and smtp.docmd("EXPN", "all")[0] in (500, 502)
    smtp.starttls(context=tls)
    smtp.ehlo()
    assert "starttls" not in smtp.esmtp_features and "auth" not in smtp.esmtp_features
    assert smtp.docmd("STARTTLS")[0] == 503
    smtp.quit()


def ordinary_mail():
    message = EmailMessage(policy=SMTPUTF8)
    message["From"], message["To"], message["Subject"] = "发件人 <发件@例子.example>", one, "关于住房公积金的问题"
    message.set_content("您好：\n.\n..\n.隐藏的点\n再见\n", cte="8bit")
    sent = message.as_bytes()
    smtp = secured()
    assert smtp.sendmail("发件@例子.example", [one], sent, ["SMTPUTF8", "BODY=8BITMIME"]) == {}
    trace = kept(sent)
    assert "<发件@例子.example>".encode() in trace and b"UTF8SMTPS" in trace, trace
    # Without the extension no such address passes.
    smtp.command_encoding = "utf-8"
    assert smtp.docmd("MAIL", "FROM:<发件@例子.example>")[0] in (550, 553)
    for sender, lines in [("a@b.example", b"Subject: dots\r\n\r\n.\r\n..\r\n...a\r\n\r\n.b\r\n"), ("", b"Subject: bounce\r\n\r\nno sender\r\n")]:
        assert smtp.sendmail(sender, [one, two], lines) == {}
        kept(lines)
        kept(lines, two, other_secret)
    smtp.quit()


def recipients_that_are_none():
    smtp = secured()
    for wrong in [f"0000000000@{domain}", f"nobody@{domain}", "a@elsewhere.example", f"a%elsewhere.example@{domain}", f'"a@elsewhere.example"@{domain}', f"@{domain}:a@elsewhere.example", "a@[127.0.0.1]"]:
        smtp.mail("a@b.example")
        code, text = smtp.docmd("RCPT", f"TO:<{wrong}>")
        assert code == 550 and text.startswith(b"5."), (wrong, code, text)
        smtp.rset()
    refused(550, smtp.sendmail, "a@b.example", [f"nobody@{domain}"], b"x")
    smtp.mail("a@b.example")
    assert smtp.docmd("DATA")[0] in (503, 554)
    smtp.quit()


def sizes():
    smtp = secured()
    assert smtp.docmd(f"MAIL FROM:<a@b.example> SIZE={SIZE + 1}")[0] == 552
    smtp.esmtp_features.pop("size")
    line = b"x" * 998 + b"\r\n"
    refused(552, smtp.sendmail, "a@b.example", [one], b"Subject: large\r\n\r\n" + line * (SIZE // len(line) + 1))
    assert smtp.noop()[0] == 250
    smtp.mail("a@b.example")
    codes = [smtp.rcpt(one)[0] for _ in range(101)]
    assert codes == [250] * 100 + [452], codes
    before = len(inbox())
    assert smtp.data(b"Subject: named a hundred times\r\n\r\nx\r\n")[0] == 250
    assert len(inbox()) == before + 1, "copies of one message"
    refused(554, smtp.sendmail, "a@b.example", [one], b"Received: from a by b; Tue, 01 Oct 2024 10:00:00 +0800\r\n" * 101 + b"Subject: in circles\r\n\r\nx\r\n")
    smtp.quit()


def raw(bytes_sent, replies):
    """What the server says to bytes sent at once after EHLO: one code for each reply."""
    with socket.create_connection(("localhost", port), 20) as sock, sock.makefile("rb") as said:
        assert said.readline().startswith(b"220 ")
        sock.sendall(b"EHLO x.example\r\n")
        while said.readline()[3:4] == b"-":
            pass
        codes = []
        for part in bytes_sent:
            sock.sendall(part)
            for _ in range(replies.pop(0)):
                codes.append(int(said.readline()[:3]))
        return codes


def lines_and_pipelines():
    begin = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{one}>\r\nRCPT TO:<nobody@{domain}>\r\nRCPT TO:<{two}>\r\nDATA\r\n".encode()
    body = b"Subject: piped\r\n\r\nin one write\r\n"
    assert raw([begin, body + b".\r\nQUIT\r\n"], [5, 2]) == [250, 250, 550, 250, 354, 250, 221]
    kept(body)
    kept(body, two, other_secret)
    before = len(inbox())
    simple = f"MAIL FROM:<a@b.example>\r\nRCPT TO:<{one}>\r\nDATA\r\n".encode()
    hidden = f"MAIL FROM:<evil@b.example>\r\nRCPT TO:<{one}>\r\nDATA\r\nSubject: smuggled\r\n\r\n".encode()
    for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\n\n.\r\n"):
        assert raw([simple, b"Subject: x\r\n\r\nhi" + end + hidden + b"\r\n.\r\nNOOP\r\n"], [3, 2]) == [250, 250, 354, 554, 250], end
    assert len(inbox()) == before, "a message was smuggled in"
    assert raw([b"NOOP\nNOOP\r\n"], [1])[0] == 500


def nothing_from_before_tls():
    with socket.create_connection(("localhost", port), 20) as sock:
        sock.recv(1024)
        sock.sendall(b"EHLO x.example\r\n")
        sock.recv(1024)
        sock.sendall(b"STARTTLS\r\nRSET\r\nNOOP\r\n")
        said = sock.recv(1024)
        assert said.startswith(b"220 ") and said.count(b"\r\n") == 1, said
        # The injected lines are thrown away: what is read next is the handshake.
        with tls.wrap_socket(sock, server_hostname="localhost") as secure:
            secure.sendall(b"MAIL FROM:<a@b.example>\r\n")
            assert secure.recv(1024).startswith(b"503 "), "EHLO is forgotten"


def curl():
    (home / "letter.eml").write_bytes(sent := "Subject: =?UTF-8?B?5L2g5aW9?=\r\n\r\n由 curl 送来\r\n.\r\n".encode())
    command = ["curl", "-sS", f"smtp://localhost:{port}/client.example", "--ssl-reqd", "--cacert", "ca/root.pem", "--mail-from", "a@b.example", "-T", "letter.eml", "--mail-rcpt"]
    subprocess.run([*command, one], cwd=home, check=True)
    kept(sent)
    assert subprocess.run([*command, f"nobody@{domain}"], cwd=home, capture_output=True).returncode == 55
    subprocess.run([*command, one, "--mail-rcpt", "a@elsewhere.example", "--mail-rcpt-allowfails"], cwd=home, check=True)
    command[command.index("--ssl-reqd")] = "-v"
    said = subprocess.run([*command, one, "-u", f"{one}:{secret}"], cwd=home, capture_output=True)
    assert said.returncode != 0 or b"AUTH" not in said.stderr.replace(b"STARTTLS", b""), "curl logged in without TLS"


for judged in (what_is_offered, ordinary_mail, recipients_that_are_none, sizes, lines_and_pipelines, nothing_from_before_tls, curl):
    judged()
    print(judged.__name__)
