"""Tests of the browser client, in a real Chromium, against the whole of The Eye."""
