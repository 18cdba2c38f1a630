"""TLS of the commands that speak to gateways: whom they trust, and what they show."""

from __future__ import annotations

import ssl
from pathlib import Path

from schemas.settings import Settings, SettingsError


def gateway_context(settings: Settings, *, own: bool) -> ssl.SSLContext:
    """Return the context for requests to gateways; `own`: to the gateway of these settings, on this machine.

    Such a one is known by its certificate, whatever names stand in it. Raises SettingsError.
    """
    pinned = settings.tls_certfile if own and settings.gateway_cafile is None else None
    trusted = settings.gateway_cafile or pinned
    try:
        context = ssl.create_default_context(cafile=trusted)
    except OSError as error:
        name = "EYE_TLS_CERTFILE" if pinned else "EYE_GATEWAY_CAFILE"
        raise SettingsError(f"{name}: {trusted} can't be used: {_said(error)}.") from error
    context.check_hostname = pinned is None
    if trusted:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the file may hold the gateway's own certificate
    if settings.gateway_client_certfile is not None:
        _show(context, settings.gateway_client_certfile)
    elif own and settings.tls_client_cafile is not None:
        raise SettingsError(
            "EYE_TLS_CLIENT_CAFILE makes the gateway ask these commands for a certificate, too: name one in"
            " EYE_GATEWAY_CLIENT_CERTFILE."
        )
    return context


def _show(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_cert_chain(path)
    except OSError as error:
        raise SettingsError(f"EYE_GATEWAY_CLIENT_CERTFILE: {path} can't be used: {_said(error)}.") from error


def _said(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no PEM").lower().replace("_", " ")
    return str(error.strerror)
