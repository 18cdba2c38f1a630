"""The command `eye`, the local stack and the operations on a running system.

Imports the other packages; nobody imports it.
"""
