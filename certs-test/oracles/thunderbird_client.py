"""A mailbox as Thunderbird uses it. Usage: thunderbird_client.py HOME; HOME/thunderbird.json says where what is.
"kill the gateway" and "start the gateway" on its output are asked of whoever started it, and answered by a line."""
import base64, csv, email.message, email.policy, hashlib, imaplib, json, pathlib, re, smtplib, ssl, subprocess, sys, time

# Nothing is written beside the sources.
sys.dont_write_bytecode = True
from thunderbird import PATIENCE, Thunderbird

home = pathlib.Path(sys.argv[1]).resolve()
given = json.loads((home / "thunderbird.json").read_text())
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    (user, password), (other, other_password) = [(line["address"], line["password"]) for line in csv.DictReader(file)][:2]


class Session(imaplib.IMAP4_SSL):
    """Another program at a mailbox, while Thunderbird is there."""

    def __init__(self, account=(user, password), folder="INBOX"):
        super().__init__("localhost", given["imaps"], ssl_context=tls)
        self.login(*account)
        assert self.select(folder)[0] == "OK"

    def __exit__(self, *_):
        self.logout()

    def held(self, kind):
        """Numbers to what they have of a kind, and their flags; beside it may be told what Thunderbird changes at this moment."""
        found = {}
        for part in self.fetch("1:*", f"(UID FLAGS {kind})")[1]:
            if isinstance(part, tuple):
                words = part[0].split()
                found[int(words[words.index(b"(UID") + 1])] = (part[1], {flag.decode() for flag in imaplib.ParseFlags(part[0])} - {"\\Recent"})
        return found


def decoded(header):
    return str(email.message_from_bytes(header, policy=email.policy.default)["Subject"])


def held(folder="INBOX", account=(user, password)):
    """Subjects of the messages that the gateway has to their flags."""
    with Session(account, folder) as client:
        return {decoded(header): flags for header, flags in client.held("BODY.PEEK[HEADER.FIELDS (SUBJECT)]").values()} if client.search(None, "ALL")[1][0] else {}


def eventually(what, expected):
    until = time.monotonic() + PATIENCE
    while (found := what()) != expected:
        assert time.monotonic() < until, (found, expected)
        time.sleep(0.2)


def gateway(what):
    print(f"{what} the gateway", flush=True)
    assert sys.stdin.readline() == "done\n"


MAILS = {
    "plain": "Subject: plain\r\n\r\n.a line with a dot\r\nFrom here\r\n",
    "公积金": "Subject: =?utf-8?b?5YWs56ev6YeR?=\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n穗印实名邮箱\r\n",
    "parts": "Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>needle</p>\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n",
}


def bring(subject, text):
    mail = f"From: a@peer.example\r\nTo: {user}\r\nDate: Tue, 01 Oct 2024 10:00:00 +0800\r\nMessage-ID: <{hashlib.sha256(subject.encode()).hexdigest()}@peer.example>\r\n{text}"
    with smtplib.SMTP("127.0.0.1", given["smtp"]) as client:
        client.sendmail("a@peer.example", [user], mail.encode())


def finds_its_settings(thunderbird):
    """Its own search for the settings of an address, its own login to try them, its own account of them."""
    found = thunderbird.run("""const [user, password, domain] = given, at = name => ChromeUtils.importESModule(`resource:///modules/accountcreation/${name}.sys.mjs`);
        // It gives the request five seconds, and its user may ask it again.
        const fetch = times => at("FetchConfig").FetchConfig.fromISP(domain, user, new AbortController().signal).catch(error => { if (times == 1) throw error; return fetch(times - 1); });
        const config = await fetch(10);
        at("AccountConfig").AccountConfig.replaceVariables(config, "陈秀英", user, password);
        Object.assign(config, { rememberPassword: true });
        Object.assign(config.identity, { realname: "陈秀英", emailAddress: user });
        const tried = await new (at("ConfigVerifier").ConfigVerifier)(null, new AbortController().signal).verifyConfig(config, false);
        await at("CreateInBackend").CreateInBackend.createAccountInBackend(tried);
        const { incoming, outgoing } = tried;
        return [config.source, incoming.type, incoming.hostname, incoming.port, incoming.username, outgoing.hostname, outgoing.port, outgoing.username];""", user, password, given["domain"])
    assert found[1:] == ["imap", given["host"], given["imaps"], user, given["host"], given["submissions"], user], found


def has_its_folders(thunderbird):
    """Folders are what the server says they are for."""
    folders = thunderbird.run("""server.getNewMessages(root, Services.wm.getMostRecentWindow("mail:3pane").msgWindow, null);
        const uses = ["Inbox", "SentMail", "Drafts", "Trash", "Junk", "Archive"];
        await until(() => uses.every(use => root.getFolderWithFlags(flags[use])));
        return uses.map(use => root.getFolderWithFlags(flags[use]).name.toLowerCase());""")
    assert folders == ["inbox", "sent", "drafts", "trash", "junk", "archive"], folders


def reads(thunderbird):
    thunderbird.run("await asked(() => [...inbox.messages].length == given[0]);", len(MAILS))
    # Its own reading of a message's structure.
    parts = thunderbird.run("""const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
        const read = subject => new Promise(ends => MsgHdrToMimeMessage(of(subject), null, (_, message) => ends(message), true));
        const [parts, chinese] = [await read("parts"), await read("公积金")];
        return [parts.allAttachments.map(one => one.name), chinese.coerceBodyToPlaintext(inbox).trim()];""")
    assert parts == [["a.pdf"], "穗印实名邮箱"], parts


def searched(thunderbird, attribute, word, folder="Inbox"):
    """By the server."""
    return thunderbird.run("""const [attribute, word, folder] = given, search = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession), found = [];
        search.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, root.getChildNamed(folder));
        const term = search.createTerm(), value = term.value;
        [value.attrib, value.str] = [Ci.nsMsgSearchAttrib[attribute], word];
        Object.assign(term, { attrib: value.attrib, op: Ci.nsMsgSearchOp.Contains, value, booleanAnd: true });
        search.appendTerm(term);
        await new Promise(ends => { search.registerListener({ onSearchHit(header) { found.push(header.mime2DecodedSubject); }, onSearchDone: ends, onNewSearch() {} }); search.search(null); });
        return found.sort();""", attribute, word, folder)


def searches(thunderbird):
    for attribute, word, expected in [("Body", "needle", ["parts"]), ("Body", "实名邮箱", ["公积金"]), ("Subject", "公积", ["公积金"]), ("Subject", "公积人", [])]:
        assert (found := searched(thunderbird, attribute, word)) == expected, (word, found)


COUNT = 300
LINES = ["From here on", ">From the first", "From", ".", "..", "", " \t"]


def letter(n):
    """The octets of a letter, its subject and the names of what is attached: as programs write Chinese, whole or in GB18030."""
    subject, name = f"第{n}封 公积金缴存通知", f"对账单{n}.pdf"
    hexed = lambda text, mark: "".join(f"{mark}{octet:02X}" for octet in text.encode("gb18030"))
    written = [f"=?utf-8?b?{base64.b64encode(subject.encode()).decode()}?=", f"=?gb18030?q?{hexed(subject, '=')}?=", subject][n % 3]
    header = f"From: a@b.example\r\nTo: {user}\r\nMessage-ID: <{n}@b.example>\r\nDate: Tue, 01 Oct 2024 10:00:00 +0800\r\nSubject: {written}\r\nMIME-Version: 1.0\r\n"
    text = "\r\n".join([*LINES, "缴存 " * (n % 20), str(n)])
    if n % 5 != 4:
        charset = ["utf-8", "gb18030"][n % 2]
        header += f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        # Some have no text, some no end of their last line.
        return header.encode() + (text + "\r\n" * (n % 3) if n % 11 else "").encode(charset), subject, []
    content = base64.encodebytes(b"%PDF" + bytes(range(256)) * (400 if n % 10 == 4 else 3)).replace(b"\n", b"\r\n").decode()
    parts = [f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n", f"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=gb18030''{hexed(name, '%')}\r\n\r\n{content}"]
    return (header + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "".join(f"--b\r\n{part}" for part in parts) + "--b--\r\n").encode(), subject, [name]


def downloads(thunderbird):
    """For offline use: the octets as they were, though the gateway is killed on the way."""
    letters = [letter(n) for n in range(COUNT)]
    with Session() as client:
        assert client.create("letters")[0] == client.subscribe("letters")[0] == "OK"
        for first in range(0, COUNT, 50):
            tag = client._new_tag()
            client.send(tag + b" APPEND letters" + b"".join(b" {%d+}\r\n%s" % (len(one), one) for one, _, _ in letters[first : first + 50]) + b"\r\n")
            assert client._command_complete("APPEND", tag)[0] == "OK"
    thunderbird.run("""server.performExpand(null); await until(() => root.containsChildNamed("letters"));
        named("letters").setFlag(flags.Offline);
        await asked(() => [...named("letters").messages].length == given[0], named("letters"));
        await until(() => [...named("letters").messages].some(offline), () => download(named("letters")));""", COUNT)
    # All but a few are still to come.
    gateway("kill")
    gateway("start")
    kept = thunderbird.run("""const letters = named("letters"), all = [...letters.messages];
        await until(() => all.every(offline), () => download(letters));
        const { NetUtil } = ChromeUtils.importESModule("resource://gre/modules/NetUtil.sys.mjs");
        const octets = one => {
            const stream = letters.getMsgInputStream(one), read = [];
            for (let more; (more = stream.available()); ) read.push(NetUtil.readInputStreamToString(stream, more));
            // On top it writes lines of its own.
            return Uint8Array.from(read.join("").replace(/^(X-Mozilla-[^\\n]*\\n)*/, ""), one => one.charCodeAt(0));
        };
        const digest = async one => new Uint8Array(await crypto.subtle.digest("SHA-256", octets(one))).toHex();
        return Promise.all(all.map(async one => [one.messageKey, one.mime2DecodedSubject, await digest(one)]));""")
    # It ends a last line that has no end.
    expected = [[n + 1, subject, hashlib.sha256(octets if octets.endswith(b"\r\n") else octets + b"\r\n").hexdigest()] for n, (octets, subject, _) in enumerate(letters)]
    different = [(found, letters[found[0] - 1][0][:3000]) for found, one in zip(sorted(kept), expected) if found != one]
    assert not different and len(kept) == COUNT, (len(kept), len(different), different[:2])
    names = thunderbird.run("""const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
        const read = header => new Promise(ends => MsgHdrToMimeMessage(header, null, (_, message) => ends(message.allAttachments.map(one => one.name)), true));
        return Promise.all([...named("letters").messages].filter(one => one.messageKey <= 12).map(read));""")
    assert names == [names for _, _, names in letters[:12]], names
    assert (found := searched(thunderbird, "Subject", "第17封", "letters")) == [letter(17)[1]], found


def arranges(thunderbird):
    thunderbird.run("""inbox.markMessagesRead([of("plain")], true); inbox.markMessagesFlagged([of("公积金")], true); inbox.addKeywordsToMessages([of("公积金")], "$label1");""")
    eventually(held, {"plain": {"\\Seen"}, "公积金": {"\\Flagged", "$label1"}, "parts": set()})
    thunderbird.run("""root.createSubfolder("存档 & more", null); await until(() => root.containsChildNamed("存档 & more"));
        await copied(listener => MailServices.copy.copyMessages(inbox, [of("公积金")], named("存档 & more"), false, listener, null, false));
        await copied(listener => MailServices.copy.copyMessages(inbox, [of("plain")], named("存档 & more"), true, listener, null, false));
        inbox.deleteMessages([of("parts")], null, false, false, null, false);
        await until(() => !of("plain") && !of("parts"));""")
    eventually(held, {"公积金": {"\\Flagged", "$label1"}})
    archived = {"plain": {"\\Seen"}, "公积金": {"\\Flagged", "$label1"}}
    eventually(lambda: held('"&W1hoYw- &- more"'), archived)
    eventually(lambda: held("Trash"), {"parts": set()})
    shown = thunderbird.run("""const folder = named("存档 & more"); await asked(() => of("plain", folder) && of("公积金", folder), folder); return held(folder);""")
    assert shown == {subject: sorted(flags) for subject, flags in archived.items()}, shown
    # Out of the trash again; what stays there goes when it is emptied.
    thunderbird.run("""const trash = root.getFolderWithFlags(flags.Trash);
        await asked(() => of("parts", trash), trash);
        await copied(listener => MailServices.copy.copyMessages(trash, [of("parts", trash)], inbox, true, listener, null, false));
        await asked(() => of("parts"));
        inbox.deleteMessages([of("parts")], null, false, false, null, false);
        await asked(() => of("parts", trash), trash);
        trash.emptyTrash(null);""")
    eventually(lambda: held("Trash"), {})
    thunderbird.run("""named("存档 & more").rename("往来", null); await until(() => root.containsChildNamed("往来"));""")
    eventually(lambda: held('"&X4BnZQ-"'), archived)


def is_told(thunderbird):
    """What arrives and what others change, without its asking (IDLE)."""
    thunderbird.run("""await fetched(inbox);""")
    bring("news", "Subject: news\r\n\r\nnews\r\n")
    itself = [thunderbird.run("""return told(() => of("news"));""")]
    with Session() as client:
        number = client.search(None, "SUBJECT", "news")[1][0].decode()
        client.store(number, "+FLAGS", "(\\Seen $label2)")
        client.store(number, "+FLAGS", "\\Answered")
        itself.append(thunderbird.run("""return told(() => marks(of("news")).join(" ") == "$label2 \\\\Answered \\\\Seen");"""))
        client.store(number, "+FLAGS", "\\Deleted")
        client.expunge()
        itself.append(thunderbird.run("""return told(() => !of("news"));"""))
    assert any(itself)


def sends(thunderbird):
    """What it composes by itself, with something attached and a copy kept."""
    (home / "对账单.pdf").write_bytes(b"%PDF-1.4\n" + bytes(range(256)))
    thunderbird.run("""const [path, from, to] = given, { nsIMsgCompFields, nsIMsgAttachment } = Ci, make = (name, kind) => Cc[`@mozilla.org/messengercompose/${name};1`].createInstance(kind);
        const { MessageSend } = ChromeUtils.importESModule("resource:///modules/MessageSend.sys.mjs");
        const fields = make("composefields", nsIMsgCompFields), attachment = make("attachment", nsIMsgAttachment), account = MailServices.accounts.defaultAccount;
        Object.assign(attachment, { name: "对账单.pdf", contentType: "application/pdf", url: Services.io.newFileURI(new FileUtils.File(path)).spec });
        fields.addAttachment(attachment);
        Object.assign(fields, { from, to, subject: "公积金对账单", forcePlainText: true, fcc: root.getFolderWithFlags(flags.SentMail).URI });
        await new Promise((ends, fails) => {
            const listener = { onStartSending() {}, onProgress() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {}, onSendNotPerformed() {}, onTransportSecurityError(_, code) { fails(failed(code)); },
                onStopSending(_, code, text) { code ? fails(new Error(text + " " + failed(code))) : ends(); } };
            new MessageSend().createAndSendMessage(null, account.defaultIdentity, account.key, fields, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, "text/plain", "您好！\\n.穗印\\nFrom 广州\\n", null, null, listener, null, "", Ci.nsIMsgCompType.New);
        });""", str(home / "对账单.pdf"), user, other)
    eventually(lambda: held(account=(other, other_password)), {"公积金对账单": set()})
    eventually(lambda: held("Sent"), {"公积金对账单": {"\\Seen"}})
    with Session((other, other_password)) as client, Session(folder="Sent") as own:
        (arrived, _), (kept, _) = client.held("BODY.PEEK[]").popitem()[1], own.held("BODY.PEEK[]").popitem()[1]
    message = email.message_from_bytes(arrived, policy=email.policy.default)
    [attached] = message.iter_attachments()
    text = message.get_body().get_content().replace("\r\n", "\n").rstrip("\n")
    assert (attached.get_filename(), attached.get_content()) == ("对账单.pdf", (home / "对账单.pdf").read_bytes()), arrived
    assert text == "您好！\n.穗印\nFrom 广州" and message["Subject"] == "公积金对账单" and message["From"].addresses[0].addr_spec == user, arrived
    # What arrived is what it kept, below what the gateway wrote on top.
    assert arrived.split(b"\r\n\r\n", 1)[1] == kept.split(b"\r\n\r\n", 1)[1], (arrived, kept)


def comes_back(thunderbird):
    """What changed while it was not there; as it is installed it asks for all flags, and from here on for what changed (CONDSTORE)."""
    thunderbird.run("""const letters = named("letters");
        server.setBoolValue("use_condstore", true);
        server.closeCachedConnections();
        await asked(() => Number(letters.msgDatabase.dBFolderInfo.getCharProperty("highestModSeq")), letters);""")
    thunderbird.quit()
    with Session(folder="letters") as client:
        client.store("10:20", "+FLAGS", "\\Seen")
        client.store("15", "+FLAGS", "(\\Flagged $label1)")
        client.store("30:39,300", "+FLAGS", "\\Deleted")
        client.expunge()
        assert client.append("letters", "(\\Seen)", None, b"Subject: later\r\n\r\nlater\r\n")[0] == "OK"
    thunderbird.start()
    expected = {subject: sorted(flags) for subject, flags in held("letters").items()}
    assert len(expected) == COUNT - 10
    thunderbird.run("""const [expected] = given, letters = named("letters");
        await asked(() => { const is = held(letters); return Object.keys(is).length == Object.keys(expected).length && Object.entries(expected).every(([subject, flags]) => is[subject]?.join(" ") == flags.join(" ")); }, letters);""", expected)


def goes_on(thunderbird):
    """The gateway is killed while it waits for news."""
    thunderbird.run("""await fetched(inbox);""")
    gateway("kill")
    gateway("start")
    bring("again", "Subject: again\r\n\r\nagain\r\n")
    thunderbird.run("""await asked(() => of("again")); inbox.markMessagesFlagged([of("again")], true);""")
    eventually(lambda: held().get("again"), {"\\Flagged"})


def believes(thunderbird):
    """A bureau's statement is shown as signed by it; one in which an octet was changed is not."""
    subprocess.run(given["push"], cwd=home, check=True, stdout=subprocess.DEVNULL)
    arrived = """header => header.author.includes("<gjj@")"""
    subject = thunderbird.run(f"""return (await asked(() => [...inbox.messages].find({arrived}))).mime2DecodedSubject;""")
    with Session() as client:
        whole = client.fetch(client.search(None, "FROM", "gjj@")[1][0], "BODY.PEEK[]")[1][0][1]
        changed = whole.replace(b"text/plain", b"text/Plain", 1).replace(b"\r\nMessage-ID: <", b"\r\nMessage-ID: <changed.", 1)
        assert changed.count(b"changed.") == 1 and client.append("INBOX", None, None, changed)[0] == "OK"
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


def ends(thunderbird):
    """And what it said all along, compressed; no word of it was one that the gateway does not know."""
    thunderbird.quit()
    for log in map(thunderbird.said, [1, 2]):
        assert "COMPRESS DEFLATE" in log and " OK DEFLATE" in log, log[-5000:]
        assert not (unknown := re.findall(r"CreateNewLineFromSocket: \d+ BAD.*", log)), unknown
    # Here the second one.
    assert re.search(r"S-letters:SendData: \d+ UID fetch 1:\* \(FLAGS\) \(CHANGEDSINCE [1-9]", log)


def main():
    for subject, text in MAILS.items():
        bring(subject, text)
    began = time.monotonic()
    thunderbird = Thunderbird(home, given["marionette"], given["autoconfig"], given["nobody"])
    try:
        thunderbird.start()
        took = [f"it starts {time.monotonic() - began:.1f} s"]
        for step in [finds_its_settings, has_its_folders, reads, searches, arranges, is_told, downloads, sends, comes_back, goes_on, believes, ends]:
            began = time.monotonic()
            step(thunderbird)
            took.append(f"{step.__name__.replace('_', ' ')} {time.monotonic() - began:.1f} s")
    finally:
        thunderbird.end()
    print(f"Thunderbird {thunderbird.version}: {', '.join(took)}")


main()
