"""Submits numbered messages for another domain until one is refused, and prints each that was accepted.
Usage: outgoing_many.py HOME SUBMISSIONS_PORT FIRST COUNT"""
import csv, pathlib, smtplib, ssl, sys

home, port, first, count = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
tls = ssl.create_default_context(cafile=home / "ca/root.pem")
with open(home / "institutions.accounts.csv", newline="") as file:
    address, secret = next((line["address"], line["password"]) for line in csv.DictReader(file))
try:
    smtp = smtplib.SMTP_SSL("localhost", port, context=tls)
    smtp.login(address, secret)
    for number in range(first, first + count):
        smtp.sendmail(address, [f"a{number}@peer.example"], f"From: {address}\r\nSubject: {number}\r\nMessage-ID: <{number}@many.example>\r\n\r\nx\r\n".encode())
        print(number, flush=True)
except (OSError, smtplib.SMTPException) as error:
    print(error, file=sys.stderr)
