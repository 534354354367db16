"""A large mailbox fetched by mbsync, which is killed on the way and goes on. Usage: mbsync_killed.py HOME IMAPS_PORT MESSAGES"""
import csv, hashlib, imaplib, pathlib, re, signal, ssl, subprocess, sys, time

home, imaps, count = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "people.accounts.csv", newline="") as file:
    address, password = [(line["address"], line["password"]) for line in csv.DictReader(file)][5]


def message(n):
    return f"From: a@b.example\r\nTo: {address}\r\nMessage-ID: <{n}@b.example>\r\nSubject: {n}\r\n\r\n{'公积金缴存 ' * (n % 50)}{n}\r\n".encode()


client = imaplib.IMAP4_SSL("localhost", imaps, ssl_context=tls)
client.login(address, password)
assert client.create("large")[0] == "OK"
for first in range(0, count, 50):
    some = [message(n) for n in range(first, min(first + 50, count))]
    tag = client._new_tag()
    client.send(tag + b" APPEND large" + b"".join(b" {%d+}\r\n%s" % (len(one), one) for one in some) + b"\r\n")
    assert client._command_complete("APPEND", tag)[0] == "OK"
sent = {hashlib.sha256(message(n)).hexdigest() for n in range(count)}
assert len(sent) == count

local = home / "large"
(home / "mbsyncrc").write_text(f"""
# It is killed, the machine is not: what it wrote is there without being synced.
FSync no

IMAPAccount gateway
Host localhost
Port {imaps}
User {address}
Pass "{password}"
SSLType IMAPS
CertificateFile {home}/ca/root.pem

IMAPStore far
Account gateway

MaildirStore near
Path {local}/
Inbox {local}/INBOX

Channel large
Far :far:large
Near :near:large
Create Near
Sync Pull
SyncState *
""")
(home / "mbsyncrc").chmod(0o600)
local.mkdir()
command = ["mbsync", "-c", "mbsyncrc", "large"]


def files():
    return [path for part in ("cur", "new") for path in (local / "large" / part).glob("*")] if (local / "large").is_dir() else []


# Killed three times, each time further on.
begun = time.monotonic()
for part in (1, 2, 3):
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while len(files()) < count * part // 20 and process.poll() is None:
        assert time.monotonic() < until, f"{len(files())} of {count} messages"
        time.sleep(0.005)
    assert process.poll() is None, f"it ended before it was killed: part {part}, {len(files())} of {count} messages, {process.returncode}"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(files()) < count
subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
seconds = time.monotonic() - begun
# Each message once, to the octet: mbsync keeps lines ended by LF, and a mark of its own in what it was killed over.
got = [hashlib.sha256(re.sub(rb"(?m)^X-TUID: .{12}\n", b"", path.read_bytes(), count=1).replace(b"\n", b"\r\n")).hexdigest() for path in files()]
assert len(got) == count and set(got) == sent, (len(got), len(set(got)), count)
assert subprocess.run(command, cwd=home, check=True, capture_output=True).returncode == 0 and len(files()) == count
print(f"{count} messages, killed three times: {seconds:.1f} s")
