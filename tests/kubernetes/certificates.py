"""Certificates for a stand-in behind TLS, and for who calls it."""

import ssl
import subprocess
from pathlib import Path

_REQUEST = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"


def make(folder: Path, name: str, common_name: str, host: str) -> None:
    """Make a self-signed certificate `NAME.crt` with its key `NAME.key`."""
    subject = ["-subj", f"/CN={common_name}", "-addext", f"subjectAltName={host}"]
    files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
    subprocess.run(
        [*_REQUEST.split(), *subject, *files], cwd=folder, check=True, capture_output=True
    )


def server_tls(folder: Path, name: str, trusted: str) -> ssl.SSLContext:
    """Return the TLS of a server that lets clients show the `trusted` certificate, or none."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    tls.load_verify_locations(folder / f"{trusted}.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    return tls
