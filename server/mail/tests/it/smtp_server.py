"""An SMTP server with TLS for tests. Arguments: the files of its certificate and of its private key.

Prints its ports (STARTTLS; TLS from the beginning; STARTTLS at 127.0.0.2, for which the certificate is not), and then
each message that it accepts, as JSON.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP


class Handler:
    async def handle_DATA(self, server, session, envelope):
        text = envelope.content.decode()
        print(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": text}), flush=True)
        return "250 2.0.0 Queued as 4711"


async def main(certificate, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()

    def starttls():
        return SMTP(Handler(), hostname="mail.test", tls_context=tls, require_starttls=True, loop=loop)

    def plain():
        return SMTP(Handler(), hostname="mail.test", loop=loop)

    servers = [
        await loop.create_server(starttls, "127.0.0.1", 0),
        await loop.create_server(plain, "127.0.0.1", 0, ssl=tls),
        await loop.create_server(starttls, "127.0.0.2", 0),
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main(*sys.argv[1:]))
