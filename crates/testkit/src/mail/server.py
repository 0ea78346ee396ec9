"""A mail server for tests: every message that it takes becomes a file.

    python server.py <port> <folder> [<user name> <password>]

A message is `<folder>/<number>.json`, complete as soon as it is there. With a user name, nobody else may send.
Nobody has the mailbox `nobody`, and a message to it is refused.
"""

import asyncio
import email
import email.policy
import json
import os
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


def text_of(message, kind):
    part = message.get_body((kind,))
    return part.get_content().replace("\r\n", "\n") if part else None


class Folder:
    """What is done with what is sent."""

    def __init__(self, path):
        self.path = path
        self.count = len(os.listdir(path))

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 there is no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        known = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(message["Subject"] or ""),
            "text": text_of(message, "plain"),
            "html": text_of(message, "html"),
            "headers": [[name, str(value)] for name, value in message.items()],
            "source": envelope.content.decode("utf-8", "replace"),
        }
        self.count += 1
        name = os.path.join(self.path, f"{self.count:06}.json")
        with open(name + ".new", "w", encoding="utf-8") as file:
            json.dump(known, file)
        os.rename(name + ".new", name)
        return "250 2.0.0 OK"


def authenticator(username, password):
    expected = LoginPassword(username.encode(), password.encode())

    def authenticate(server, session, envelope, mechanism, given):
        # Not handled: the server says itself that it was wrong.
        return AuthResult(success=given == expected, handled=False)

    return authenticate


async def main(port, folder, username=None, password=None):
    options = {"hostname": "localhost", "enable_SMTPUTF8": True}
    if username:
        options |= {
            "authenticator": authenticator(username, password),
            "auth_required": True,
            "auth_require_tls": False,
        }
    handler = Folder(folder)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: SMTP(handler, **options), "127.0.0.1", int(port))]
    try:
        servers.append(await loop.create_server(lambda: SMTP(handler, **options), "::1", int(port)))
    except OSError as error:
        print(f"not on ::1: {error}", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main(*sys.argv[1:]))
