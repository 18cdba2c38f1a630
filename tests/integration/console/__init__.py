"""The console in a real Chromium, on a pipeline that runs."""
