"""Servers of other domains, and the HTTPS at which those say what they promise of TLS: on 127.0.0.1 with TLS (and REQUIRETLS), on
127.0.0.2 without, on 127.0.0.3 with TLS and without REQUIRETLS. What is taken is a line of JSON in FILE; a policy is the file NAME.txt for the host mta-sts.NAME.
Usage: secured_peer.py SMTP_PORT HTTPS_PORT FILE CERTIFICATE KEY POLICIES"""
import asyncio, http.server, json, pathlib, ssl, sys, threading
from aiosmtpd.smtp import SMTP

port, https, path, certificate, key, policies = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5], pathlib.Path(sys.argv[6])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)


class Server(SMTP):
    def _getparams(self, params):
        if "REQUIRETLS" in params:
            self.session.require_tls = True
        return super()._getparams([param for param in params if param != "REQUIRETLS"])


class Peer:
    def __init__(self, require_tls):
        self.require_tls = require_tls

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses[:-1] + ["250-REQUIRETLS"] + responses[-1:] if session.ssl and self.require_tls else responses

    async def handle_DATA(self, server, session, envelope):
        told = {"to": envelope.rcpt_tos, "tls": session.ssl is not None, "require_tls": getattr(session, "require_tls", False), "content": envelope.original_content.decode(errors="replace")}
        with open(path, "a") as file:
            file.write(json.dumps(told) + "\n")
        return "250 2.0.0 taken"


class Policies(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.headers["Host"].removeprefix("mta-sts.")
        policy = policies / f"{name}.txt"
        good = self.path == "/.well-known/mta-sts.txt" and policy.exists()
        body = policy.read_bytes() if good else b"no"
        with open(policies / "asked", "a") as file:
            file.write(name + "\n")
        self.send_response(200 if good else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


async def main():
    loop = asyncio.get_running_loop()
    for address, tls, require_tls in (("127.0.0.1", context, True), ("127.0.0.2", None, False), ("127.0.0.3", context, False)):
        await loop.create_server(lambda tls=tls, require_tls=require_tls: Server(Peer(require_tls), hostname="mx.example", tls_context=tls, loop=loop), address, port)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", https), Policies)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
