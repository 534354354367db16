"""A mailbox as mutt, mbsync, offlineimap, fetchmail and swaks use it. Usage: mail_programs.py HOME SMTP_PORT IMAPS_PORT"""
import csv, imaplib, os, pathlib, pty, re, select, signal, ssl, subprocess, sys, time

home, smtp, imaps = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    accounts = [(line["address"], line["password"]) for line in csv.DictReader(file)]


def session(account, folder="INBOX"):
    client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
    client.login(*account)
    assert client.select(folder)[0] == "OK"
    return client


def fill(account, subjects):
    client = session(account)
    for subject in subjects:
        message = f"From: a@b.example\r\nTo: {account[0]}\r\nMessage-ID: <{subject}@b.example>\r\nDate: Tue, 01 Oct 2024 10:00:00 +0800\r\nSubject: {subject}\r\n\r\nbody of {subject}\r\n"
        assert client.append("INBOX", None, None, message.encode())[0] == "OK"
    client.logout()


def held(account, folder="INBOX"):
    """Subject to flags, of every message."""
    client, found = session(account, folder), {}
    for number in client.search(None, "ALL")[1][0].split():
        (head, text), *rest = client.fetch(number, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        flags = imaplib.ParseFlags(head + b" " + b" ".join(part for part in rest if isinstance(part, bytes)))
        found[text.decode().split(":", 1)[1].strip()] = {flag.decode() for flag in flags} - {"\\Recent"}
    client.logout()
    return found


def mutt_commands(account, keys):
    """Runs mutt in a terminal of its own; `keys` are its functions."""
    (home / "muttrc").write_text(f"""
set imap_user="{account[0]}" imap_pass="{account[1]}" folder="imaps://localhost:{imaps}/" spoolfile="+INBOX"
set ssl_force_tls=yes ssl_ca_certificates_file="ca/root.pem" header_cache="" timeout=1
set resolve=no quit=yes delete=yes confirmappend=no confirmcreate=no move=no sort=mailbox-order mark_old=no wait_key=no sleep_time=0 record="" copy=no
set smtp_url="smtp://localhost:{smtp}/" from="sender@b.example" hostname="b.example" use_envelope_from=yes realname="Sender" send_charset="utf-8"
""")
    (home / "muttrc").chmod(0o600)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.environ.update(TERM="xterm", HOME=str(home), LANG="C.UTF-8")
        os.execvp("mutt", ["mutt", "-F", "muttrc", "-e", f"push '{keys}'"])
    screen, until = b"", time.monotonic() + 20
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                screen += os.read(terminal, 65536)
            except OSError:
                break
        elif os.waitpid(pid, os.WNOHANG)[0]:
            return
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise AssertionError(f"mutt hangs: {screen[-2000:]!r}")
    status = os.waitpid(pid, 0)[1]
    assert status == 0, screen[-2000:]


def mutt():
    account = accounts[3]
    fill(account, ["one", "two", "three", "four"])
    mutt_commands(account, "<first-entry><flag-message><next-entry><delete-message><next-entry><save-message>=Archive<enter><jump>4<enter><display-message><exit><quit>")
    assert held(account) == {"one": {"\\Flagged"}, "four": {"\\Seen"}}, held(account)
    assert list(held(account, "Archive")) == ["three"]
    # As a sender: its mail goes out by SMTP after STARTTLS.
    command = ["mutt", "-F", "muttrc", "-s", "从 mutt 来", "--", account[0]]
    environment = {**os.environ, "LANG": "C.UTF-8", "HOME": str(home)}
    subprocess.run(command, cwd=home, input="正文\n.\n结尾\n".encode(), check=True, env=environment)
    client = session(account)
    text = client.fetch(client.uid("SEARCH", "ALL") and b"3", "(BODY.PEEK[])")[1][0][1]
    assert b"Return-Path: <sender@b.example>" in text and b"with ESMTPS" in text, text
    client.logout()


def mbsync():
    account = accounts[4]
    fill(account, ["one", "two", "three"])
    client = session(account)
    client.create("Work")
    client.create("&W,mNJlNV-/2026")
    client.logout()
    (home / "mbsyncrc").write_text(f"""
IMAPAccount city
Host localhost
Port {imaps}
User {account[0]}
Pass {account[1]}
SSLType IMAPS
SystemCertificates no
CertificateFile ca/root.pem

IMAPStore far
Account city

MaildirStore near
SubFolders Verbatim
Path maildir/
Inbox maildir/INBOX

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
CopyArrivalDate yes
SyncState *
""")
    (home / "mbsyncrc").chmod(0o600)
    maildir = home / "maildir"
    maildir.mkdir()

    def sync():
        said = subprocess.run(["mbsync", "-c", "mbsyncrc", "-V", "-a"], cwd=home, capture_output=True, timeout=60)
        assert said.returncode == 0 and b"rror" not in said.stderr, said.stderr[-2000:]

    def local(folder="INBOX"):
        """Subject to Maildir flags."""
        found = {}
        for part in ("cur", "new"):
            for path in (maildir / folder / part).iterdir():
                subject = re.search(rb"^Subject: (.*?)\r?$", path.read_bytes(), re.M)[1].decode()
                found[subject] = path.name.partition(":2,")[2]
        return found

    def path_of(subject, folder="INBOX"):
        (found,) = [path for part in ("cur", "new") for path in (maildir / folder / part).iterdir() if f"Subject: {subject}".encode() in path.read_bytes()]
        return found

    sync()
    assert set(local()) == {"one", "two", "three"} and (maildir / "Work").is_dir() and (maildir / "Archive").is_dir()
    assert (maildir / "&W,mNJlNV-/2026/cur").is_dir(), list(maildir.iterdir())
    for part in ("cur", "new", "tmp"):
        (maildir / "Made here" / part).mkdir(parents=True)
    assert path_of("one").read_bytes().replace(b"\r\n", b"\n").count(b"body of one") == 1
    # Here: one is flagged and read, two is deleted, a new one is written. There: three is answered.
    path = path_of("one")
    path.rename(maildir / "INBOX/cur" / (path.name.partition(":2,")[0] + ":2,FS"))
    path = path_of("two")
    path.rename(maildir / "INBOX/cur" / (path.name.partition(":2,")[0] + ":2,T"))
    (maildir / "INBOX/new" / "1700000000.1.local").write_bytes("Message-ID: <written@here.example>\nSubject: written here\n\n写在本地\n".encode())
    client = session(account)
    client.store("3", "+FLAGS", r"(\Answered)")
    client.logout()
    sync()
    assert held(account) == {"one": {"\\Flagged", "\\Seen"}, "three": {"\\Answered"}, "written here": set()}, held(account)
    assert held(account, '"Made here"') == {}
    assert "R" in local()["three"] and "two" not in local() and local()["one"] == "FS", local()
    # There: one is removed, and a message comes into another folder. Here: what was read is unread again.
    client = session(account)
    client.store("1", "+FLAGS", r"(\Deleted)")
    client.expunge()
    client.append("Work", None, None, b"Subject: at work\r\n\r\nx\r\n")
    client.logout()
    path = path_of("three")
    path.rename(maildir / "INBOX/cur" / (path.name.partition(":2,")[0] + ":2,"))
    sync()
    assert set(local()) == {"three", "written here"} and list(local("Work")) == ["at work"]
    assert held(account)["three"] == set(), held(account)
    before = held(account)
    sync()
    assert held(account) == before


def offlineimap():
    account = accounts[5]
    fill(account, ["one", "two", "three"])
    near = home / "offline"
    (home / "offlineimaprc").write_text(f"""
[general]
accounts = city
metadata = {home}/offline-state
[Account city]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {near}
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {imaps}
remoteuser = {account[0]}
remotepass = {account[1]}
ssl = yes
sslcacertfile = {home}/ca/root.pem
""")
    (home / "offlineimaprc").chmod(0o600)

    def sync():
        said = subprocess.run(["offlineimap", "-c", "offlineimaprc", "-o", "-u", "basic"], cwd=home, capture_output=True, timeout=120, env={**os.environ, "HOME": str(home)})
        assert said.returncode == 0 and b"ERROR" not in said.stderr + said.stdout, (said.stdout + said.stderr)[-2000:]

    def local(folder="INBOX"):
        paths = [path for part in ("cur", "new") for path in (near / folder / part).iterdir()]
        return {re.search(rb"^Subject: (.*?)\r?$", path.read_bytes(), re.M)[1].decode(): path for path in paths}

    sync()
    assert set(local()) == {"one", "two", "three"} and (near / "Archive").is_dir(), list(near.iterdir())
    # Here: one is read, two is gone. There: three is flagged, a fourth comes.
    path = local()["one"]
    path.rename(near / "INBOX/cur" / (path.name.partition(":2,")[0] + ":2,S"))
    local()["two"].unlink()
    client = session(account)
    client.store("3", "+FLAGS", r"(\Flagged)")
    client.logout()
    fill(account, ["four"])
    sync()
    assert held(account) == {"one": {"\\Seen"}, "three": {"\\Flagged"}, "four": set()}, held(account)
    assert set(local()) == {"one", "three", "four"} and "F" in local()["three"].name.partition(":2,")[2]
    before = held(account)
    sync()
    assert held(account) == before


def fetchmail():
    account = accounts[5]
    before = held(account)
    (home / "fetchmailrc").write_text(f"""
poll localhost protocol imap service {imaps} user "{account[0]}" password "{account[1]}" ssl sslcertck sslcertfile "{home}/ca/root.pem" fetchall
  mda "cat >> {home}/fetched"
""")
    (home / "fetchmailrc").chmod(0o600)
    command = ["fetchmail", "-f", "fetchmailrc", "--pidfile", str(home / "fetchmail.pid"), "--nosyslog"]
    said = subprocess.run(command, cwd=home, capture_output=True, timeout=60, env={**os.environ, "HOME": str(home)})
    assert said.returncode == 0, (said.stdout + said.stderr)[-2000:]
    fetched = (home / "fetched").read_bytes()
    assert all(f"body of {subject}".encode() in fetched for subject in before), fetched[-2000:]
    # What it has got it removes; there is nothing more to get.
    assert held(account) == {}, held(account)
    assert subprocess.run(command, cwd=home, capture_output=True, timeout=60, env={**os.environ, "HOME": str(home)}).returncode == 1


def swaks():
    account = accounts[5]

    def send(*arguments):
        command = ["swaks", "--server", "localhost", "--port", str(smtp), "--helo", "b.example", "--from", "swaks@b.example", *arguments]
        return subprocess.run(command, cwd=home, capture_output=True, timeout=60)

    said = send("--to", account[0], "--tls", "--tls-verify", "--tls-ca-path", "ca/root.pem", "--header", "Subject: by swaks", "--body", ".\n..\nend")
    assert said.returncode == 0, said.stdout[-2000:]
    said = send("--to", account[0], "--pipeline", "--header", "Subject: pipelined")
    assert said.returncode == 0, said.stdout[-2000:]
    # Who is not there is refused before a message is sent; nobody logs in here.
    assert send("--to", "nobody@" + account[0].partition("@")[2]).returncode == 24
    assert send("--to", account[0], "--auth", "PLAIN", "--auth-user", account[0], "--auth-password", "x").returncode == 28
    assert set(held(account)) == {"by swaks", "pipelined"}, held(account)


for judged in (mutt, mbsync, offlineimap, fetchmail, swaks):
    judged()
    print(judged.__name__)
