"""The operators' functions: lag, ledger, trace, doctor, keys, topics, retention, send."""
