"""Waiting for a state of a page."""

from __future__ import annotations

from playwright.async_api import Page

DELIVERED = "() => Object.keys(localStorage).every((name) => !name.startsWith('eye.q.'))"


async def delivered(page: Page, seconds: float = 30) -> None:
    """Wait until the queue that the page sees is empty: each event had its verdict."""
    await page.wait_for_function(DELIVERED, timeout=seconds * 1000, polling=50)


async def clicks(page: Page, number: int) -> list[str]:
    """Send events from the page; returns their ids."""
    ids: list[str] = await page.evaluate(f"Array.from({{ length: {number} }}, (_, i) => click(String(i)))")
    return ids
