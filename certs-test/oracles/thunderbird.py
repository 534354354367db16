"""Thunderbird without a display, driven over Marionette: its own scripts do what clicks would.

It reaches this machine alone: every name is this machine's for it, and what it asks of the web comes to the gateway's settings or to nobody."""
import json, os, shutil, socket, subprocess, time

# Longer than anything takes on a machine that does other work, too; what is waited for ends the waiting. It idles two seconds after its last
# command, or, where it slept over that, half a minute after.
PATIENCE = 150
OFF = ["app.update.enabled", "mail.provider.enabled", "mailnews.start_page.enabled", "mail.shell.checkDefaultClient", "datareporting.policy.dataSubmissionEnabled",
       "datareporting.healthreport.uploadEnabled", "toolkit.telemetry.enabled", "network.connectivity-service.enabled", "network.captive-portal-service.enabled",
       "extensions.blocklist.enabled", "extensions.update.enabled", "mail.spotlight.enable", "mail.inappnotifications.enabled", "browser.safebrowsing.phishing.enabled"]

SCRIPT = """const done = arguments[arguments.length - 1], given = Array.from(arguments).slice(0, -1);
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.defaultAccount?.incomingServer, root = server?.rootFolder;
const flags = Ci.nsMsgFolderFlags, inbox = root?.getFolderWithFlags(flags.Inbox);
const named = name => root.getChildNamed(name).QueryInterface(Ci.nsIMsgImapMailFolder);
const until = async (what, ask = () => {}) => { for (let n = 0; n < PATIENCE * 50; n++) { const is = what(); if (is) return is; if (n % 50 == 0) ask(n / 50); await new Promise(go => setTimeout(go, 20)); } throw new Error("it never came to be: " + what); };
const failed = code => new Error("0x" + code.toString(16));
const url = begin => new Promise((ends, fails) => begin({ OnStartRunningUrl() {}, OnStopRunningUrl(_, code) { code ? fails(failed(code)) : ends(); } }));
const copied = begin => new Promise((ends, fails) => begin({ onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; }, onStopCopy(code) { code ? fails(failed(code)) : ends(); }, QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]) }));
const fetched = folder => url(listener => folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, listener));
// As the folder is shown again and again; what it overhears meanwhile it sees then.
const asked = (what, folder = inbox) => until(what, () => folder.updateFolder(null));
const offline = one => one.flags & Ci.nsMsgMessageFlags.Offline;
// It refuses where it downloads already.
const download = folder => { try { folder.downloadAllForOffline(null, null); } catch (error) { if (error.result != 0x8055000a) throw error; } };
// Without its asking; what it overheard while it did something else it asks for after a minute.
const told = async what => { let itself = true; await until(what, seconds => { if (seconds > 60) { itself = false; inbox.updateFolder(null); } }); return itself; };
const of = (subject, folder = inbox) => [...folder.messages].find(one => one.mime2DecodedSubject == subject);
// What a header's flags are called by IMAP.
const marks = one => [[one.isRead, "\\\\Seen"], [one.isFlagged, "\\\\Flagged"], [one.flags & Ci.nsMsgMessageFlags.Replied, "\\\\Answered"]].filter(([is]) => is).map(([, name]) => name).concat(one.getStringProperty("keywords").split(" ").filter(word => word && !["nonjunk", "junk"].includes(word.toLowerCase()))).sort();
const held = folder => Object.fromEntries([...folder.messages].map(one => [one.mime2DecodedSubject, marks(one)]));
(async () => { BODY })().then(value => done([value === undefined ? null : value]), error => done(String(error) + "\\n" + error?.stack));"""


class Thunderbird:
    """Marionette: messages of JSON, each after its length and a colon."""

    def __init__(self, home, marionette, web, nobody):
        """Ports: its own, where HTTPS comes to, and one where nobody listens."""
        missing = [program for program in ("thunderbird", "certutil") if not shutil.which(program)]
        assert not missing, f"not installed: {missing}; run scripts/test"
        self.home, self.profile, self.port = home, home / "thunderbird", marionette
        self.profile.mkdir()
        preferences = dict.fromkeys(OFF, False) | {
            "marionette.port": marionette, "network.proxy.type": 0, "network.trr.mode": 5, "network.dns.forceResolve": "localhost",
            "network.socket.forcePort": f"443={web};80={nobody}", "services.settings.server": "https://localhost/", "mailnews.auto_config_url": "",
        }
        (self.profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()))
        database = f"sql:{self.profile}"
        subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
        subprocess.run(["certutil", "-A", "-d", database, "-n", "root", "-t", "C,C,", "-i", home / "ca/root.pem"], check=True)
        self.process, self.started = None, 0

    def start(self):
        self.started += 1
        arguments = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", str(self.profile)]
        environment = os.environ | {"HOME": str(self.profile), "TMPDIR": str(self.home), "LANG": "C.UTF-8", "MOZ_LOG": "IMAP:3", "MOZ_LOG_FILE": str(self.home / f"imap-{self.started}")}
        with open(self.home / "thunderbird.log", "ab") as log:
            self.process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE * 2)
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < until, "it does not listen"
                time.sleep(0.1)
        self.held, self.number = b"", 0
        assert self.read()["marionetteProtocol"] == 3
        self.version = self.ask("WebDriver:NewSession", capabilities={})["capabilities"]["browserVersion"]
        self.ask("Marionette:SetContext", value="chrome")
        self.ask("WebDriver:SetTimeouts", script=int(PATIENCE * 1.5) * 1000)

    def quit(self):
        """As a person does it; it writes down what it holds."""
        self.ask("Marionette:Quit", flags=["eForceQuit"])
        self.process.wait(PATIENCE)
        self.socket.close()

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

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
        script = SCRIPT.replace("PATIENCE", str(PATIENCE)).replace("BODY", body)
        answer = self.ask("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), newSandbox=True)["value"]
        assert isinstance(answer, list), f"{body}: {answer}"
        return answer[0]

    def said(self, start):
        """What went over IMAP from its `start`th start to its end, as it logged it."""
        return "".join(path.read_text("utf-8", "replace") for path in self.home.glob(f"imap-{start}*"))
