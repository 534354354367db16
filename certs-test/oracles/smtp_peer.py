"""A server of another domain (aiosmtpd). What it says is in the recipient's name: `later…` is told 451 the first time, `never…` 550,
`full…` 552, everybody else is taken. Each message taken is one line of JSON in FILE. Usage: smtp_peer.py PORT FILE [CERTIFICATE KEY]"""
import asyncio, base64, json, ssl, sys
from aiosmtpd.smtp import SMTP

port, path = int(sys.argv[1]), sys.argv[2]
context = None
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
seen = set()


class Peer:
    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name.startswith("never"):
            return "550 5.1.1 <%s> unknown here" % address
        if name.startswith("full"):
            return "552 mailbox of somebody is full"
        if name.startswith("later") and address not in seen:
            seen.add(address)
            return "451 4.7.1 come again"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.append(options)
        return "250 2.1.5 noted"

    async def handle_DATA(self, server, session, envelope):
        told = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "options": envelope.mail_options, "tls": session.ssl is not None, "hello": session.host_name, "bytes": base64.b64encode(envelope.original_content).decode()}
        with open(path, "a") as file:
            file.write(json.dumps(told) + "\n")
        return "250 2.0.0 taken"


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Peer(), hostname="mx1.peer.example", tls_context=context, enable_SMTPUTF8=True, data_size_limit=40_000_000, loop=loop), "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
