"""A mailbox as Thunderbird uses it, without a display: driven over Marionette, its own scripts do what clicks would.
Usage: thunderbird_client.py HOME SMTP_PORT SUBMISSIONS_PORT IMAPS_PORT PUSH...; PUSH is the command by which a bureau sends a statement"""
import csv, imaplib, json, os, pathlib, smtplib, socket, ssl, subprocess, sys, time

home, (smtp, submissions, imaps) = pathlib.Path(sys.argv[1]).resolve(), map(int, sys.argv[2:5])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    (user, password), (other, other_password) = [(line["address"], line["password"]) for line in csv.DictReader(file)][:2]
profile = home / "thunderbird"


class Thunderbird:
    """Marionette: messages of JSON, each after its length and a colon."""

    def __init__(self, port, patience=60):
        until = time.monotonic() + patience
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), 120)
                break
            except OSError:
                assert time.monotonic() < until, "it does not listen"
                time.sleep(0.1)
        self.held, self.number = b"", 0
        assert self.read()["marionetteProtocol"] == 3
        self.version = self.ask("WebDriver:NewSession", capabilities={})["capabilities"]["browserVersion"]
        self.ask("Marionette:SetContext", value="chrome")
        self.ask("WebDriver:SetTimeouts", script=60_000)

    def read(self):
        while b":" not in self.held:
            self.held += self.more()
        length, self.held = self.held.split(b":", 1)
        while len(self.held) < int(length):
            self.held += self.more()
        message, self.held = self.held[: int(length)], self.held[int(length) :]
        return json.loads(message)

    def more(self):
        octets = self.socket.recv(65536)
        assert octets, "Thunderbird is gone"
        return octets

    def ask(self, command, **parameters):
        self.number += 1
        message = json.dumps([0, self.number, command, parameters]).encode()
        self.socket.sendall(b"%d:%s" % (len(message), message))
        _, number, error, answer = self.read()
        assert number == self.number and error is None, error
        return answer

    def run(self, body, *arguments):
        """`body` is what an async function of these arguments does."""
        script = f"""const done = arguments[arguments.length - 1], given = Array.from(arguments).slice(0, -1);
            const {{ MailServices }} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
            const server = MailServices.accounts.defaultAccount?.incomingServer, root = server?.rootFolder;
            const flags = Ci.nsMsgFolderFlags, inbox = root?.getFolderWithFlags(flags.Inbox);
            const named = name => root.getChildNamed(name).QueryInterface(Ci.nsIMsgImapMailFolder);
            const until = async what => {{ for (let n = 0; n < 300; n++) {{ const is = what(); if (is) return is; await new Promise(go => setTimeout(go, 100)); }} throw new Error("it never came to be: " + what); }};
            const asked = async what => {{ for (let n = 0; n < 50; n++) {{ const is = what(); if (is) return is; inbox.updateFolder(null); await new Promise(go => setTimeout(go, 1000)); }} throw new Error("it is not there: " + what); }};
            const url = begin => new Promise((ends, fails) => begin({{ OnStartRunningUrl() {{}}, OnStopRunningUrl(_, code) {{ code ? fails(new Error("0x" + code.toString(16))) : ends(); }} }}));
            const copied = begin => new Promise((ends, fails) => begin({{ onStartCopy() {{}}, onProgress() {{}}, setMessageKey() {{}}, getMessageId() {{ return null; }}, onStopCopy(code) {{ code ? fails(new Error("0x" + code.toString(16))) : ends(); }}, QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]) }}));
            const fetched = folder => url(listener => folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener));
            const subjects = folder => [...folder.messages].map(one => one.mime2DecodedSubject).sort();
            const of = subject => [...inbox.messages].find(one => one.mime2DecodedSubject == subject);
            (async () => {{ {body} }})().then(value => done([value === undefined ? null : value]), error => done(String(error) + "\\n" + error?.stack));"""
        answer = self.ask("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), newSandbox=True)["value"]
        assert isinstance(answer, list), f"{body}: {answer}"
        return answer[0]


def session(account, folder="INBOX"):
    client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    client.login(*account)
    assert client.select(folder)[0] == "OK"
    return client


def held(account, folder="INBOX"):
    """Subjects as they stand there to flags, of every message."""
    client, found = session(account, folder), {}
    for number in client.search(None, "ALL")[1][0].split():
        # Beside it may be told what Thunderbird changes at this moment.
        told = client.fetch(number, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        at = next(at for at, part in enumerate(told) if isinstance(part, tuple))
        (head, text), rest = told[at], told[at + 1]
        flags = imaplib.ParseFlags(head + b" " + rest)
        found[text.decode().split(":", 1)[1].strip()] = {flag.decode() for flag in flags} - {"\\Recent"}
    client.logout()
    return found


def eventually(what, expected):
    until = time.monotonic() + 20
    while (found := what()) != expected:
        assert time.monotonic() < until, (found, expected)
        time.sleep(0.2)


CODED = "=?utf-8?b?5YWs56ev6YeR?="
MAILS = {
    "plain": "Subject: plain\r\n\r\n.a line with a dot\r\nFrom here\r\n",
    "公积金": f"Subject: {CODED}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n穗印实名邮箱\r\n",
    "parts": "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>needle</p>\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n",
}


def bring(subject, text):
    mail = f"From: a@peer.example\r\nTo: {user}\r\nDate: Tue, 01 Oct 2024 10:00:00 +0800\r\nMessage-ID: <{abs(hash(subject))}@peer.example>\r\n{text}"
    with smtplib.SMTP("127.0.0.1", smtp) as client:
        client.sendmail("a@peer.example", [user], mail.encode())


def account(thunderbird):
    thunderbird.run("""const [user, password, imaps, submissions] = given;
        const { SSL } = Ci.nsMsgSocketType, { passwordCleartext } = Ci.nsMsgAuthMethod;
        const server = MailServices.accounts.createIncomingServer(user, "localhost", "imap");
        Object.assign(server, { port: imaps, socketType: SSL, authMethod: passwordCleartext, password, loginAtStartUp: false, doBiff: false });
        const out = MailServices.outgoingServer.createServer("smtp").QueryInterface(Ci.nsISmtpServer);
        Object.assign(out, { hostname: "localhost", port: submissions, socketType: SSL, authMethod: passwordCleartext, username: user, password });
        MailServices.outgoingServer.defaultServer = out;
        const identity = MailServices.accounts.createIdentity(), account = MailServices.accounts.createAccount();
        Object.assign(identity, { email: user, fullName: "陈秀英", smtpServerKey: out.key });
        account.incomingServer = server;
        account.addIdentity(identity);
        MailServices.accounts.defaultAccount = account;""", user, password, imaps, submissions)
    # Folders are what the server says they are for.
    folders = thunderbird.run("""server.performExpand(null);
        const uses = ["Inbox", "SentMail", "Drafts", "Trash", "Junk", "Archive"];
        await until(() => uses.every(use => root.getFolderWithFlags(flags[use])));
        return uses.map(use => root.getFolderWithFlags(flags[use]).name.toLowerCase());""")
    assert folders == ["inbox", "sent", "drafts", "trash", "junk", "archive"], folders


def reads(thunderbird):
    assert thunderbird.run("await fetched(inbox); return subjects(inbox);") == sorted(MAILS), "what was brought"
    # For offline use: the octets as they came.
    # It fetches by itself what it shows to nobody yet, as it does for everybody.
    path = thunderbird.run("""await until(() => [...inbox.messages].every(one => one.flags & Ci.nsMsgMessageFlags.Offline));
        return inbox.filePath.path;""")
    kept, client = pathlib.Path(path).read_bytes(), session((user, password))
    for number in client.search(None, "ALL")[1][0].split():
        whole = client.fetch(number, "BODY.PEEK[]")[1][0][1]
        # Its file is an mbox, where a line that begins with From is quoted.
        assert whole.replace(b"\r\nFrom ", b"\r\n>From ") in kept or whole in kept, whole
    client.logout()
    # Its own reading of a message's structure.
    parts = thunderbird.run("""const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
        const read = subject => new Promise(ends => MsgHdrToMimeMessage(of(subject), null, (_, message) => ends(message), true));
        const [parts, chinese] = [await read("parts"), await read("公积金")];
        return [parts.allAttachments.map(one => one.name), chinese.coerceBodyToPlaintext(inbox).trim()];""")
    assert parts == [["a.pdf"], "穗印实名邮箱"], parts
    # Searched by the server.
    found = thunderbird.run("""const search = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession), found = [];
        search.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, inbox);
        const term = search.createTerm(), value = term.value;
        [value.attrib, value.str] = [Ci.nsMsgSearchAttrib.Body, "needle"];
        Object.assign(term, { attrib: Ci.nsMsgSearchAttrib.Body, op: Ci.nsMsgSearchOp.Contains, value, booleanAnd: true });
        search.appendTerm(term);
        await new Promise(ends => { search.registerListener({ onSearchHit(header) { found.push(header.mime2DecodedSubject); }, onSearchDone: ends, onNewSearch() {} }); search.search(null); });
        return found;""")
    assert found == ["parts"], found


def arranges(thunderbird):
    thunderbird.run("""inbox.markMessagesRead([of("plain")], true); inbox.markMessagesFlagged([of("公积金")], true); inbox.addKeywordsToMessages([of("公积金")], "$label1");""")
    eventually(lambda: held((user, password)), {"plain": {"\\Seen"}, CODED: {"\\Flagged", "$label1"}, "parts": set()})
    # And what another program changes.
    client = session((user, password))
    client.store("3", "+FLAGS", "\\Seen")
    client.logout()
    thunderbird.run("""await fetched(inbox); await until(() => of("parts").isRead);""")
    thunderbird.run("""root.createSubfolder("存档 & more", null); await until(() => root.containsChildNamed("存档 & more"));""")
    thunderbird.run("""MailServices.copy.copyMessages(inbox, [of("plain")], named("存档 & more"), true, null, null, false);
        await until(() => !of("plain"));
        inbox.deleteMessages([of("parts")], null, false, false, null, false);
        await until(() => !of("parts"));""")
    eventually(lambda: held((user, password)), {CODED: {"\\Flagged", "$label1"}})
    assert held((user, password), '"&W1hoYw- &- more"') == {"plain": {"\\Seen"}} and held((user, password), "Trash") == {"parts": {"\\Seen"}}
    assert thunderbird.run("""await fetched(named("存档 & more")); return subjects(named("存档 & more"));""") == ["plain"]


def is_told(thunderbird):
    """What arrives is told to it, without its asking (IDLE)."""
    thunderbird.run("""await fetched(inbox);""")
    bring("news", "Subject: news\r\n\r\nnews\r\n")
    thunderbird.run("""await until(() => of("news"));""")


def sends(thunderbird):
    text = f"From: =?utf-8?b?6ZmI56eA6Iux?= <{user}>\r\nTo: {other}\r\nSubject: sent\r\nMessage-ID: <sent@thunderbird>\r\nDate: Tue, 01 Oct 2024 10:00:00 +0800\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\n.穗印\r\n"
    (home / "sent.eml").write_bytes(text.encode())
    thunderbird.run("""const [path, from, to] = given, file = new FileUtils.File(path), addresses = MailServices.headerParser.makeFromDisplayAddress(to);
        await new Promise((ends, fails) => MailServices.outgoingServer.defaultServer.sendMailMessage(file, addresses, [], MailServices.accounts.defaultAccount.defaultIdentity, from, null, null, false, "<sent@thunderbird>",
            { QueryInterface: ChromeUtils.generateQI(["nsIMsgOutgoingListener"]), onSendStart() {}, onSendStop(_, code, __, error) { code ? fails(new Error(error + " 0x" + code.toString(16))) : ends(); } }));
        const sent = root.getFolderWithFlags(flags.SentMail);
        await copied(listener => MailServices.copy.copyFileMessage(file, sent, null, false, Ci.nsMsgMessageFlags.Read, "", listener, null));""", str(home / "sent.eml"), user, other)
    assert held((other, other_password)) == {"sent": set()} and held((user, password), "Sent") == {"sent": {"\\Seen"}}
    client = session((other, other_password))
    assert client.fetch("1", "BODY.PEEK[TEXT]")[1][0][1] == ".穗印\r\n".encode()
    client.logout()


def believes(thunderbird):
    """A bureau's statement is shown as signed by it; one in which an octet was changed is not."""
    subprocess.run(sys.argv[5:], cwd=home, check=True, stdout=subprocess.DEVNULL)
    arrived = """header => header.author.includes("<gjj@")"""
    subject = thunderbird.run(f"""return (await asked(() => [...inbox.messages].find({arrived}))).mime2DecodedSubject;""")
    client = session((user, password))
    whole = client.fetch(client.search(None, "FROM", "gjj@")[1][0], "BODY.PEEK[]")[1][0][1]
    changed = whole.replace(b"text/plain", b"text/Plain", 1).replace(b"\r\nMessage-ID: <", b"\r\nMessage-ID: <changed.", 1)
    assert changed.count(b"changed.") == 1 and client.append("INBOX", None, None, changed)[0] == "OK"
    client.logout()
    # Being told of it again is not what is judged: while it downloads by itself it may overhear that.
    thunderbird.run(f"""await asked(() => [...inbox.messages].filter({arrived}).length == 2);""")
    shown = [thunderbird.run("""const [changed] = given, tabs = Services.wm.getMostRecentWindow("mail:3pane").document.getElementById("tabmail");
        const pane = await until(() => tabs.currentAbout3Pane?.displayFolder && tabs.currentAbout3Pane);
        pane.displayFolder(inbox.URI);
        const header = [...inbox.messages].find(one => one.author.includes("<gjj@") && one.messageId.startsWith("changed.") == changed);
        await until(() => pane.gDBView?.rowCount >= [...inbox.messages].length);
        pane.threadTree.selectedIndex = pane.gDBView.findIndexOfMsgHdr(header, true);
        const view = await until(() => tabs.currentAboutMessage);
        await until(() => view.gMessage?.messageId == header.messageId && view.msgLoaded && view.gSignatureStatus >= 0);
        return [view.gSignatureStatus, view.document.getElementById("signedHdrIcon").src.split("/").at(-1)];""", changed) for changed in [False, True]]
    (good, icon), (bad, other_icon) = shown
    # 0 is nsICMSMessageErrors.SUCCESS.
    assert (good, icon) == (0, "message-signed-ok.svg") and bad > 0 and other_icon != icon, shown
    assert "2026" in subject, subject


def main():
    began = time.monotonic()
    profile.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    off = ["app.update.enabled", "mail.provider.enabled", "mailnews.start_page.enabled", "mail.shell.checkDefaultClient", "datareporting.policy.dataSubmissionEnabled", "network.connectivity-service.enabled"]
    (profile / "user.js").write_text("".join(f'user_pref("{name}", false);\n' for name in off) + f'user_pref("marionette.port", {port});\n')
    database = f"sql:{profile}"
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
    subprocess.run(["certutil", "-A", "-d", database, "-n", "root", "-t", "C,C,", "-i", home / "ca/root.pem"], check=True)
    for subject, text in MAILS.items():
        bring(subject, text)
    arguments = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(profile)]
    with open(home / "thunderbird.log", "wb") as log:
        process = subprocess.Popen(arguments, env={**os.environ, "HOME": str(profile), "LANG": "C.UTF-8"}, stdout=log, stderr=log)
    try:
        thunderbird, took = Thunderbird(port), [time.monotonic()]
        for step in [account, reads, arranges, is_told, sends, believes]:
            step(thunderbird)
            took.append(time.monotonic())
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
    steps = ", ".join(f"{after - before:.1f}" for before, after in zip([began, *took], took))
    print(f"Thunderbird {thunderbird.version}: it starts, has its folders, reads, arranges, is told, sends, believes: {steps} s")


main()
