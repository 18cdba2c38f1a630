"""The console: a web application that shows events, sessions and what was rejected, and mends it.

It is a client like others: it reads by the gateway's HTTP interface, with the key of who looks, and calls the functions
behind the commands for the rest. It has no query of its own. Of the other packages none imports it.
"""
