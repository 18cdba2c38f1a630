"""The life of a process: start, restart, logs, metrics, spans, watchdog."""
