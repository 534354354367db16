"""Who logs in and how: imaplib, smtplib, poplib, curl and OpenSSL, with a SCRAM client of our own on hashlib and hmac, and tokens made by `cryptography`.

usage: access_client.py HOME STEP; access.json there says where what is."""
import base64, hashlib, hmac, imaplib, json, os, poplib, re, secrets, smtplib, ssl, subprocess, sys, time, urllib.error, urllib.request
import xml.etree.ElementTree as xml

home, step = sys.argv[1:]
given = json.load(open(os.path.join(home, "access.json")))
ports, user = given["ports"], given["user"]
root = os.path.join(home, "ca/root.pem")
tls = ssl.create_default_context(cafile=root)
b64 = lambda data: base64.b64encode(data).decode()


class Scram:
    """RFC 5802 with SHA-256, the client's side."""

    def __init__(self, user, password, binding=None):
        self.password, self.header = password.encode(), b"p=tls-exporter,," if binding else b"n,,"
        self.bound = self.header + (binding or b"")
        self.nonce = secrets.token_urlsafe(18)
        self.bare = f"n={user},r={self.nonce}"

    def first(self):
        return self.header + self.bare.encode()

    def last(self, server_first):
        server_first = server_first.decode()
        said = dict(part.split("=", 1) for part in server_first.split(","))
        assert said["r"].startswith(self.nonce) and len(said["r"]) > len(self.nonce) + 16 and int(said["i"]) >= 4096
        without = f"c={b64(self.bound)},r={said['r']}"
        exchange = f"{self.bare},{server_first},{without}".encode()
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(said["s"]), int(said["i"]))
        client = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(client).digest(), exchange, "sha256")
        self.expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), exchange, "sha256")
        return f"{without},p={b64(bytes(a ^ b for a, b in zip(client, signature)))}".encode()

    def taken(self, server_final):
        assert server_final == b"v=" + b64(self.expected).encode(), server_final
        return b""


def by_imap(authenticate, context=tls):
    client = imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=context)
    authenticate(client)
    assert client.select("INBOX")[0] == "OK"
    return client


def refused(error, what):
    try:
        what()
    except error as refusal:
        return str(refusal)
    raise AssertionError("that was taken")


def scram_steps(scram):
    """What imaplib and smtplib ask for: each answer to each challenge."""
    steps = iter([lambda _: scram.first(), scram.last, scram.taken])
    return lambda challenge: next(steps)(challenge if isinstance(challenge, bytes) else (challenge or "").encode())


def smtp(name, context=tls):
    if name == "submissions":
        client = smtplib.SMTP_SSL("localhost", ports[name], context=context)
    else:
        client = smtplib.SMTP("localhost", ports[name])
        client.starttls(context=context)
    client.ehlo()
    return client


def smtp_scram(client, scram):
    code, said = client.docmd("AUTH", "SCRAM-SHA-256 " + b64(scram.first()))
    if code == 334:
        code, said = client.docmd(b64(scram.last(base64.b64decode(said))))
    if code == 334:
        code, said = client.docmd(b64(scram.taken(base64.b64decode(said))))
    return code, said


def pop(name, context=tls):
    if name == "pop3s":
        return poplib.POP3_SSL("localhost", ports[name], context=context)
    client = poplib.POP3("localhost", ports[name])
    client.stls(context)
    return client


def pop_scram(client, scram):
    said = client._shortcmd("AUTH SCRAM-SHA-256 " + b64(scram.first()))
    said = client._shortcmd(b64(scram.last(base64.b64decode(said[2:]))))
    return client._shortcmd(b64(scram.taken(base64.b64decode(said[2:]))))


def app_passwords():
    every, reading = given["every"], given["reading"]
    # The password in the clear within TLS, each where it may.
    for secret in [every, reading, every.replace("-", ""), every.upper()]:
        by_imap(lambda client: client.login(user, secret)).logout()
    for name in ["submissions", "submission"]:
        client = smtp(name)
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"], client.esmtp_features["auth"]
        client.login(user, every)
        client.quit()
        assert refused(smtplib.SMTPAuthenticationError, lambda: smtp(name).login(user, reading)).startswith("(535")
    for name in ["pop3s", "pop3"]:
        client = pop(name)
        client.user(user)
        client.pass_(every)
        client.quit()
        client = pop(name)
        client.user(user)
        assert "[AUTH]" in refused(poplib.error_proto, lambda: client.pass_(reading))
    # Proved, without being told.
    by_imap(lambda client: client.authenticate("SCRAM-SHA-256", scram_steps(Scram(user, reading)))).logout()
    refused(imaplib.IMAP4.error, lambda: by_imap(lambda client: client.authenticate("SCRAM-SHA-256", scram_steps(Scram(user, reading[:-1] + ("y" if reading[-1] in "xX" else "x"))))))
    for name in ["submissions", "submission"]:
        assert smtp_scram(smtp(name), Scram(user, every))[0] == 235
        assert smtp_scram(smtp(name), Scram(user, reading))[0] == 535
    for name in ["pop3s", "pop3"]:
        client = pop(name)
        assert pop_scram(client, Scram(user, every)).startswith(b"+OK")
        client.quit()
    # A stranger is told a salt, too, and always the same.
    salts = set()
    for _ in range(2):
        client = imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=tls)
        scram, seen = Scram("nobody", every), []
        steps = iter([lambda _: scram.first(), lambda said: (seen.append(said), scram.last(said))[1]])
        refused(imaplib.IMAP4.error, lambda: client.authenticate("SCRAM-SHA-256", lambda said: next(steps)(said)))
        salts.add(re.search(rb"s=([^,]+)", seen[0]).group(1))
    assert len(salts) == 1


def bound():
    """SCRAM-SHA-256-PLUS: OpenSSL exports what binds (RFC 9266)."""
    def dialogue(change):
        arguments = ["openssl", "s_client", "-connect", f"localhost:{ports['imaps']}", "-CAfile", root, "-verify_return_error", "-tls1_3", "-crlf", "-ign_eof"]
        arguments += ["-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"]
        client = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            def until(pattern):
                while line := client.stdout.readline():
                    if found := re.match(pattern, line.strip()):
                        return found
                raise AssertionError(f"no {pattern}")

            def say(line):
                client.stdin.write(line.encode() + b"\n")
                client.stdin.flush()

            binding = change(bytes.fromhex(until(rb"Keying material: ([0-9A-F]+)").group(1).decode()))
            scram = Scram(user, given["reading"], binding)
            until(rb"\* OK .* AUTH=SCRAM-SHA-256-PLUS ")
            say("a AUTHENTICATE SCRAM-SHA-256-PLUS " + b64(scram.first()))
            say(b64(scram.last(base64.b64decode(until(rb"\+ (.+)").group(1)))))
            verdict = until(rb"(\+ .+|a .+)").group(1)
            if verdict.startswith(b"+ "):
                scram.taken(base64.b64decode(verdict[2:]))
                say("")
                verdict = until(rb"(a .+)").group(1)
            return verdict
        finally:
            client.kill()
            client.wait()

    assert dialogue(lambda binding: binding).startswith(b"a OK ")
    assert b"another connection" in dialogue(lambda binding: bytes(32))


def maildrop():
    secret = given["every"]
    # That the counter made a password is told in the mailbox, and its owner puts that away.
    imap = by_imap(lambda it: it.login(user, secret))
    assert imap.search(None, "SUBJECT", '"Your mailbox has a new app password"')[1][0].split() == [b"1"]
    imap.store("1", "+FLAGS", r"(\Deleted)")
    imap.expunge()
    imap.logout()
    client = pop("pop3s")
    offered = client.capa()
    assert {"TOP", "UIDL", "USER", "SASL", "PIPELINING", "RESP-CODES"} <= offered.keys() and "STLS" not in offered, offered
    client.user(user)
    client.pass_(secret)
    count, octets = client.stat()
    assert count == 3, count
    listed = [line.split() for line in client.list()[1]]
    names = [line.split() for line in client.uidl()[1]]
    assert sum(int(size) for _, size in listed) == octets and len({name for _, name in names}) == 3
    # Octet by octet what came in, dots at the beginnings of lines included, below what a server writes above.
    for number, sent in enumerate(given["mails"], 1):
        _, lines, size = client.retr(number)
        whole = b"".join(line + b"\r\n" for line in lines)
        assert whole.endswith(sent.encode()) and len(whole) == int(listed[number - 1][1]), (number, whole[-200:])
        top = b"".join(line + b"\r\n" for line in client.top(number, 1)[1])
        header, body = whole.split(b"\r\n\r\n", 1)
        assert top == header + b"\r\n\r\n" + body.split(b"\r\n", 1)[0] + b"\r\n"
    # One session has it; an IMAP session sees what goes, and goes on.
    other = pop("pop3")
    other.user(user)
    assert "[IN-USE]" in refused(poplib.error_proto, lambda: other.pass_(secret))
    reader = by_imap(lambda it: it.login(user, secret))
    assert reader.untagged_responses.get("EXISTS", [b"3"])[-1] == b"3"
    client.dele(2)
    client.rset()
    client.dele(1)
    client.dele(3)
    assert client.stat()[0] == 1
    client.quit()
    assert reader.noop()[0] == "OK" and len(reader.response("EXPUNGE")[1]) == 2
    assert len(reader.search(None, "ALL")[1][0].split()) == 1
    client = pop("pop3s")
    client.user(user)
    client.pass_(secret)
    assert [line.split()[1] for line in client.uidl()[1]] == [names[1][1]]
    client.quit()
    # Whoever heard that it is over has the maildrop again at once.
    for _ in range(30):
        client = pop("pop3s")
        client.user(user)
        client.pass_(secret)
        client.quit()
    # curl, by both doors.
    for address in [f"pop3s://localhost:{ports['pop3s']}/1", f"pop3://localhost:{ports['pop3']}/1"]:
        got = subprocess.run(["curl", "-s", "--ssl-reqd", "--cacert", root, "--user", f"{user}:{secret}", address], capture_output=True, check=True).stdout
        assert got.endswith(given["mails"][1].encode()), got[-200:]
    # A session that breaks off removes nothing.
    client = pop("pop3s")
    client.user(user)
    client.pass_(secret)
    client.dele(1)
    client.close()
    deadline = time.time() + 20
    while True:
        try:
            client = pop("pop3s")
            client.user(user)
            client.pass_(secret)
            break
        except poplib.error_proto:
            assert time.time() < deadline
            time.sleep(0.2)
    assert client.stat()[0] == 1
    client.quit()


def certificate():
    shown = ssl.create_default_context(cafile=root)
    shown.load_cert_chain(os.path.join(home, "anna.pem"), os.path.join(home, "anna.key"))
    nobody = ssl.create_default_context(cafile=root)
    nobody.load_cert_chain(os.path.join(home, "stranger.pem"), os.path.join(home, "stranger.key"))
    external = lambda client: client.authenticate("EXTERNAL", lambda _: b"")
    standing = by_imap(external, shown)
    by_imap(lambda client: client.authenticate("EXTERNAL", lambda _: user.encode()), shown).logout()
    for name in ["submissions", "submission"]:
        client = smtp(name, shown)
        assert client.docmd("AUTH", "EXTERNAL =")[0] == 235
        client.mail(user)
        client.quit()
    # Of another mailbox than is said; of a stranger's making; without one; and a password still opens.
    refused(imaplib.IMAP4.error, lambda: by_imap(lambda client: client.authenticate("EXTERNAL", lambda _: given["other"].encode()), shown))
    refused(imaplib.IMAP4.error, lambda: by_imap(external, nobody))
    refused(imaplib.IMAP4.error, lambda: by_imap(external))
    by_imap(lambda client: client.login(user, given["every"]), nobody).logout()
    # Revoked: within a minute of its publication the session ends, and nobody logs in by it.
    kept = by_imap(lambda client: client.login(user, given["every"]))
    subprocess.run(given["revoke"], check=True, cwd=home, stdout=subprocess.DEVNULL)
    began = time.time()
    standing.sock.settimeout(90)
    while line := standing.readline():
        if line.startswith(b"* BYE"):
            break
    took = time.time() - began
    assert line.startswith(b"* BYE") and took < 75, (line, took)
    refused(imaplib.IMAP4.error, lambda: by_imap(external, shown))
    assert kept.noop()[0] == "OK"
    print(f"a session ended {took:.1f} s after the revocation")


def provider_keys():
    """Two keys of a provider, made by `cryptography`: their public halves where the gateway reads them."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    keys = []
    for name in ["first", "next"]:
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        open(os.path.join(home, name + ".token-key"), "wb").write(key.private_bytes(*form))
        numbers = key.public_key().public_numbers()
        keys.append({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": name, "x": b64url(numbers.x.to_bytes(32, "big")), "y": b64url(numbers.y.to_bytes(32, "big"))})
    json.dump({"keys": keys}, open(os.path.join(home, "mailgw/tokens.json"), "w"))


b64url = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(name="first", header=None, lasts=600, **changed):
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    now = int(time.time())
    head = {"alg": "ES256", "typ": "at+jwt", "kid": name} | (header or {})
    claims = {"iss": "https://id.example", "aud": "suiyin-mail", "sub": user, "client_id": "judge", "jti": secrets.token_hex(8), "iat": now, "exp": now + lasts} | changed
    signed = b64url(json.dumps(head).encode()) + "." + b64url(json.dumps(claims).encode())
    if head["alg"] == "none":
        return signed + "."
    key = serialization.load_pem_private_key(open(os.path.join(home, name + ".token-key"), "rb").read(), None)
    if head["alg"] == "HS256":
        # The public key as if it were a shared secret.
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        return signed + "." + b64url(hmac.digest(public, signed.encode(), "sha256"))
    r, s = utils.decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return signed + "." + b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def bearer(token, acts_as=""):
    return f"n,{acts_as},\x01host=localhost\x01port=993\x01auth=Bearer {token}\x01\x01".encode()


def ends_within(client, seconds):
    began = time.time()
    client.sock.settimeout(seconds)
    while line := client.readline():
        if line.startswith(b"* BYE"):
            break
    assert line.startswith(b"* BYE"), line
    return time.time() - began


def tokens():
    told = []

    def answers(token, acts_as=""):
        """What imaplib and smtplib send: the response, then that the refusal was heard."""
        steps = iter([lambda _: bearer(token, acts_as), lambda said: (told.append(said), b"\x01")[1]])
        return lambda challenge: next(steps)(challenge)

    def by_smtp(name, token, acts_as=""):
        client = smtp(name)
        assert "OAUTHBEARER" in client.esmtp_features["auth"].split(), client.esmtp_features["auth"]
        code, said = client.docmd("AUTH", "OAUTHBEARER " + b64(bearer(token, acts_as)))
        if code == 334:
            told.append(base64.b64decode(said))
            code, said = client.docmd("AQ==")
        return client, code

    enter = lambda token, acts_as="": by_imap(lambda client: client.authenticate("OAUTHBEARER", answers(token, acts_as)))
    enter(token()).logout()
    enter(token("next"), "a=" + user).logout()
    for name in ["submissions", "submission"]:
        client, code = by_smtp(name, token())
        assert code == 235
        client.sendmail(user, [user], f"From: {user}\r\nTo: <{user}>\r\nSubject: by token\r\n\r\nhello\r\n".encode())
        client.quit()
    for name in ["pop3s", "pop3"]:
        client = pop(name)
        assert client._shortcmd("AUTH OAUTHBEARER").startswith(b"+") and client._shortcmd(b64(bearer(token()))).startswith(b"+OK")
        client.quit()
    # Without TLS it is neither offered nor taken.
    clear = smtplib.SMTP("localhost", ports["submission"])
    clear.ehlo()
    assert "auth" not in clear.esmtp_features and clear.docmd("AUTH", "OAUTHBEARER " + b64(bearer(token())))[0] == 538
    clear = imaplib.IMAP4("localhost", ports["imap"])
    assert not any("OAUTHBEARER" in word for word in clear.capabilities)
    assert "PRIVACYREQUIRED" in refused(imaplib.IMAP4.error, lambda: clear.authenticate("OAUTHBEARER", answers(token())))
    # What opens nothing: each told the same, and as late as a wrong password.
    for what, bad in {
        "over": token(lasts=-1), "for another": token(aud="another"), "by another": token(iss="https://id.example/"), "unsigned": token(header={"alg": "none"}), "HS256": token(header={"alg": "HS256"}),
        "an ID token": token(header={"typ": "JWT"}), "not of its key": token(header={"kid": "next"}), "too long": token(lasts=7_200), "of nobody": token(sub=given["nobody"]), "revoked": token(jti="revoked-1"), "none": "x",
    }.items():
        began, before = time.time(), len(told)
        assert "AUTHENTICATIONFAILED" in refused(imaplib.IMAP4.error, lambda: enter(bad)), what
        assert time.time() - began >= 2 and len(told) == before + 1, what
    assert by_smtp("submissions", token(aud="another"))[1] == 535
    assert {json.dumps(json.loads(said)) for said in told} == {'{"status": "invalid_token", "openid-configuration": "https://id.example/.well-known/openid-configuration"}'}, told
    # Of another mailbox than is meant; and malformed.
    assert "AUTHENTICATIONFAILED" in refused(imaplib.IMAP4.error, lambda: enter(token(), "a=" + given["other"]))
    for malformed in [b"\x01", b"n,,", bearer("a b"), bearer(token())[:-1]]:
        assert smtp("submissions").docmd("AUTH", "OAUTHBEARER " + b64(malformed))[0] == 501
        assert "BAD" in refused(imaplib.IMAP4.error, lambda: by_imap(lambda client: client.authenticate("OAUTHBEARER", lambda _: malformed)))
    # Its time ends the session, and the withdrawal of a key those that it made.
    short, first, other = enter(token(lasts=8)), enter(token()), enter(token("next"))
    kept = by_imap(lambda client: client.login(user, given["every"]))
    took = ends_within(short, 8 + 60)
    path = os.path.join(home, "mailgw/tokens.json")
    keys = json.load(open(path))
    json.dump({"keys": [key for key in keys["keys"] if key["kid"] == "next"]}, open(path + ".new", "w"))
    os.replace(path + ".new", path)
    withdrawn = ends_within(first, 60)
    refused(imaplib.IMAP4.error, lambda: enter(token()))
    assert other.noop()[0] == "OK" and kept.noop()[0] == "OK"
    print(f"a session ended {took - 8:.1f} s after its token, another {withdrawn:.1f} s after the key was withdrawn")


def settings():
    base = f"https://localhost:{ports['autoconfig']}"
    ask = lambda path, data=None: urllib.request.urlopen(urllib.request.Request(base + path, data=data), context=tls, timeout=20).read()
    for path in ["/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=x", "/mail/config-v1.1.xml"]:
        found = xml.fromstring(ask(path))
        servers = {element.get("type"): int(element.find("port").text) for element in found.iter() if element.tag.endswith("Server")}
        assert servers == {"imap": ports["imaps"], "pop3": ports["pop3s"], "smtp": ports["submissions"]}, servers
    # What other mail servers are promised.
    promised = dict(line.split(": ", 1) for line in ask("/.well-known/mta-sts.txt").decode().splitlines())
    assert promised == {"version": "STSv1", "mode": "testing", "mx": given["host"], "max_age": "1209600"}, promised
    import plistlib
    profile = plistlib.loads(ask("/apple.mobileconfig?address=" + user))
    mail = profile["PayloadContent"][0]
    assert mail["EmailAddress"] == user and mail["IncomingMailServerPortNumber"] == ports["imaps"] and mail["IncomingMailServerUseSSL"] is True
    question = lambda address: f"<?xml version='1.0'?><Autodiscover xmlns='x'><Request><EMailAddress>{address}</EMailAddress></Request></Autodiscover>".encode()
    answers = [ask("/autodiscover/autodiscover.xml", question(address)).replace(address.encode(), b"") for address in [user, given["nobody"]]]
    assert answers[0] == answers[1] and xml.fromstring(answers[0]) is not None
    for path, data in [("/apple.mobileconfig?address=a@elsewhere.example", None), ("/autodiscover/autodiscover.xml", b"<x/>"), ("/autodiscover/autodiscover.xml", b"x" * 20_000)]:
        assert refused(urllib.error.HTTPError, lambda: ask(path, data)).startswith("HTTP Error 4")


def withdrawn():
    standing = by_imap(lambda client: client.login(user, given["reading"]))
    kept = by_imap(lambda client: client.login(user, given["every"]))
    subprocess.run(given["withdraw"], check=True, cwd=home, stdout=subprocess.DEVNULL)
    standing.sock.settimeout(10)
    assert standing.readline().startswith(b"* BYE")
    refused(imaplib.IMAP4.error, lambda: by_imap(lambda client: client.login(user, given["reading"])))
    assert kept.noop()[0] == "OK"


def operators():
    """Two persons in one institution's mailbox: each sends in its name, one is ended while reading."""
    passwords, to = given["passwords"], given["to"]
    for secret in passwords:
        with smtp("submissions") as client:
            client.login(user, secret)
            client.sendmail(user, [to], f"From: {user}\r\nTo: <{to}>\r\nSubject: in our name\r\n\r\nhello\r\n".encode())
    standing, kept = (by_imap(lambda client, secret=secret: client.login(user, secret)) for secret in reversed(passwords))
    # By the certificate of the own mailbox, in the institution's name.
    anna = ssl.create_default_context(cafile=root)
    anna.load_cert_chain(os.path.join(home, "anna.pem"), os.path.join(home, "anna.key"))
    inside = by_imap(lambda client: client.authenticate("EXTERNAL", lambda _: user.encode()), anna)
    assert inside.select("Sent")[0] == "OK"
    subprocess.run(given["end"], check=True, cwd=home, stdout=subprocess.DEVNULL)
    began = time.time()
    standing.sock.settimeout(60)
    assert standing.readline().startswith(b"* BYE")
    print(f"a session ended {time.time() - began:.1f} s after its operator was")
    refused(imaplib.IMAP4.error, lambda: by_imap(lambda client: client.login(user, passwords[1])))
    assert kept.noop()[0] == "OK" and inside.noop()[0] == "OK"
    subprocess.run(given["end_first"], check=True, cwd=home, stdout=subprocess.DEVNULL)
    for ended in (kept, inside):
        ended.sock.settimeout(60)
        assert ended.readline().startswith(b"* BYE")
    refused(imaplib.IMAP4.error, lambda: by_imap(lambda client: client.authenticate("EXTERNAL", lambda _: user.encode()), anna))
    # Into the own mailbox it opens as before.
    by_imap(lambda client: client.authenticate("EXTERNAL", lambda _: b""), anna).logout()
    with imaplib.IMAP4_SSL("localhost", ports["imaps"], ssl_context=tls) as imap:
        imap.login(to, given["to_password"])
        imap.select("INBOX", readonly=True)
        read = [imap.fetch(number, "(BODY.PEEK[])")[1][0][1].decode() for number in imap.search(None, "SUBJECT", '"in our name"')[1][0].split()]
    assert len(read) == 2, read
    ids = [re.search(r"\bid ([0-9a-f]+-[0-9a-f]+)", message).group(1) for message in read]
    assert not any(word in message for message in read for word in given["names"])
    print(json.dumps({"ids": ids}))


{"app_passwords": app_passwords, "bound": bound, "operators": operators, "maildrop": maildrop, "certificate": certificate, "provider_keys": provider_keys, "tokens": tokens, "settings": settings, "withdrawn": withdrawn}[step]()
