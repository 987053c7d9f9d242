"""Microsoft Entra's token endpoint of our own, over TLS on loopback.

The SDK hands the authority to msal, which takes only https, and asks Microsoft whether it knows an
authority that msal does not: a look-up that would leave this machine. It does not ask for an
authority of the kind ADFS, so this is one: the tenant is named `adfs`. All else is the real path:
msal reads the authority's addresses and asks for a token by client id and secret.
"""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support_agent.clock import now

TENANT = "adfs"
PATIENCE_SECONDS = 20.0
SIGNING_KEY = "a key that nobody checks, of thirty-two bytes or more"


class FakeEntra:
    """One app registration. `with FakeEntra(...).serving(tls) as login_endpoint:` serves it."""

    def __init__(self, client_id: str, secret: str) -> None:
        self.client_id = client_id
        self.secret = secret
        self.asked: list[dict[str, str]] = []
        """The forms that came, oldest first."""
        self.issued: list[str] = []
        self.broken = False
        self.held = threading.Event()
        """While it is cleared, nothing is answered."""
        self.held.set()
        self.arrived = threading.Event()
        """Somebody is waiting for an answer."""

    @contextmanager
    def serving(self, tls: ssl.SSLContext) -> Iterator[str]:
        server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"entra": self}))
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            self.held.set()
            server.shutdown()
            server.server_close()
            thread.join(PATIENCE_SECONDS)

    def metadata(self, base: str) -> dict[str, str]:
        return {
            "issuer": f"{base}/{TENANT}",
            "authorization_endpoint": f"{base}/{TENANT}/oauth2/authorize",
            "token_endpoint": f"{base}/{TENANT}/oauth2/token",
        }

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(form)
        if (form.get("client_id"), form.get("client_secret")) != (self.client_id, self.secret):
            words = f"AADSTS7000215: Invalid client secret for {form.get('client_id')}."
            return 401, {"error": "invalid_client", "error_description": words}
        claims = {"aud": "https://api.botframework.com", "number": len(self.issued) + 1}
        self.issued.append(jwt.encode(claims, SIGNING_KEY, algorithm="HS256"))
        answer = {"token_type": "Bearer", "expires_in": 3600, "access_token": self.issued[-1]}
        return 200, answer


def certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's side of TLS for 127.0.0.1, and the file in which a client finds whom to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback of a test")])
    moment = now()
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(moment - datetime.timedelta(days=1))
        .not_valid_after(moment + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain, trusted = folder / "server.pem", folder / "trusted.pem"
    trusted.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(private + trusted.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, str(trusted)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    finish_request: Callable[..., None]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is part of these tests."""


class _Handler(BaseHTTPRequestHandler):
    entra: ClassVar[FakeEntra]
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        if self.path == f"/{TENANT}/.well-known/openid-configuration":
            self._say(200, self.entra.metadata(f"https://{self.headers['Host']}"))
        else:
            self._say(404, {"error": "not_found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self._say(*self.entra.token(form))

    def _say(self, status: int, answer: dict[str, Any]) -> None:
        self.entra.arrived.set()
        self.entra.held.wait(PATIENCE_SECONDS)
        if self.entra.broken:
            self.close_connection = True
            return
        given = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(given)))
        self.end_headers()
        self.wfile.write(given)

    def log_message(self, format: str, *args: Any) -> None:
        """The forms are kept; the terminal stays quiet."""
