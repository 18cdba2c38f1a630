"""Faust adapted to chunks: an app, a transport and a consumer that deliver runs of records, not single messages."""
