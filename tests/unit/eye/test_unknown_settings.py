"""Mistyped names of settings are found, and others' variables are left alone."""

from __future__ import annotations

import pytest

from eye.operations.unknown_settings import unknown_settings


def test_a_mistyped_setting_is_named_with_the_one_that_was_meant() -> None:
    assert unknown_settings({"EYE_GATEWAY_PORTT": "1", "PATH": "/bin"}) == [
        "EYE_GATEWAY_PORTT is no setting and has no effect; did you mean EYE_GATEWAY_PORT?"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "EYE_GATEWAY_PORT",
        "EYE_URL",
        "EYE_KEY",
        "EYE_SECRETS_DIR",
        "EYE_GATEWAY_SERVICE_HOST",
        "EYE_GATEWAY_PORT_80_TCP",
    ],
)
def test_settings_and_service_links_are_not_named(name: str) -> None:
    assert unknown_settings({name: "1"}) == []
