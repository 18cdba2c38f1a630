"""Issuers of OAuth 2 access tokens, as `[[issuers]]` of applications.toml names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/?#]+[^\s#]*$", max_length=1000)]


class Issuer(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One issuer: the `iss` and `aud` of its tokens, where its keys are, and the claim that names the application."""

    issuer: _Name
    audience: _Name
    jwks_uri: _Url | None = None
    jwks_file: _Name | None = None
    application_claim: _Name = "azp"


def check_issuers(issuers: Sequence[Issuer]) -> None:
    """Check what the types do not say. Raises ValueError."""
    names = [issuer.issuer for issuer in issuers]
    for issuer in issuers:
        if names.count(issuer.issuer) > 1:
            raise ValueError(f"the issuer {issuer.issuer} is there twice")
        if (issuer.jwks_uri is None) == (issuer.jwks_file is None):
            raise ValueError(f"the issuer {issuer.issuer} needs either jwks_uri or jwks_file")
