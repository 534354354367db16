"""What a mail program finds of the authority's notices. Usage: notices.py IMAPS_PORT ADDRESS PASSWORD, in the office's directory.

Prints one JSON object a message: its header fields as Python reads them, and its text."""
import email, email.policy, imaplib, json, ssl, sys

port, address, password = sys.argv[1:]
client = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=ssl.create_default_context(cafile="ca/root.pem"))
client.login(address, password)
assert client.select("INBOX", readonly=True)[0] == "OK"
for number in client.search(None, "ALL")[1][0].split():
    raw = client.fetch(number, "(BODY.PEEK[])")[1][0][1]
    lines = raw.split(b"\r\n")
    assert all(len(line) <= 78 and b"\n" not in line and line.isascii() for line in lines), raw
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not message.defects and not any(field.defects for field in message.values()), raw
    assert message["Date"].datetime and message.get_content_type() == "text/plain" and message["Auto-Submitted"] == "auto-generated", raw
    fields = {name: str(message[name]) for name in ["From", "To", "Subject", "Message-ID", "Content-Language"]}
    assert len(message.get_all("From")) == len(message.get_all("Message-ID")) == 1
    print(json.dumps(fields | {"text": message.get_content().replace("\r\n", "\n")}, ensure_ascii=False))
client.logout()
