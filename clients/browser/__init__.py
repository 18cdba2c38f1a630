"""The browser client: TypeScript in src/, tests in Chromium in tests/."""
