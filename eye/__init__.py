"""What people type: the command, the local stack, operations.

Imports the other packages; nobody imports it.
"""
