"""Sessions of a mailbox end when its password is withdrawn or with it; another's go on.

Usage: logged_out.py IMAPS_PORT ADDRESS PASSWORD MAILGW password|close OTHER_ADDRESS OTHER_PASSWORD, in the office's directory
"""
import imaplib, ssl, subprocess, sys

port, address, password, program, change, other, other_password = sys.argv[1:]
tls = ssl.create_default_context(cafile="ca/root.pem")


def session(*account):
    client = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=tls)
    client.login(*account)
    client.select("INBOX")
    client.sock.settimeout(10)
    return client


reading, waiting, bystander = session(address, password), session(address, password), session(other, other_password)
waiting.send(b"w IDLE\r\n")
assert waiting.readline().startswith(b"+ ")
more = ["--withdraw"] if change == "password" else []
subprocess.run([program, "--dir", "mailgw", "mailbox", change, address, *more], check=True, capture_output=True)
# The mail that tells of it may be seen first.
while not (line := waiting.readline()).startswith(b"* BYE "):
    assert line.rstrip().endswith((b" EXISTS", b" RECENT")), line
try:
    said = reading.append("INBOX", None, None, b"Subject: late\r\n\r\nx\r\n")
    raise AssertionError(f"a session goes on: {said}")
except (imaplib.IMAP4.abort, OSError):
    pass
assert bystander.noop()[0] == "OK"
bystander.logout()
