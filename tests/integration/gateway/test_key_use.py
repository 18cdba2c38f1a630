"""A gateway refuses a key that has expired, and says when each was last used."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from eye.operations.keys import add_key
from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.test_json_builders import a_gateway


async def test_an_expired_key_is_refused_and_the_use_of_others_told(settings: Settings) -> None:
    over = add_key(settings.applications_file, "shop", ["read"], expires=datetime.now(UTC) - timedelta(seconds=1))

    async with a_gateway(settings) as client:
        refused = await client.get("/sessions", headers={"Authorization": f"Bearer {over}"})
        taken = await client.get("/sessions")
        ready = await (await client.get("/readyz")).json()

        assert (refused.status, taken.status) == (401, 200)
        assert "expired" in (await refused.json())["detail"]
    assert list(ready["keys_used"]) == [hashlib.sha256(KEY.encode()).hexdigest()[:12]]
