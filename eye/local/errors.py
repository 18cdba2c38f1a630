"""Errors of local servers. Each message is a sentence that says what to do."""


class LocalError(Exception):
    """A local server can't be had."""


class MissingTool(LocalError):
    """This machine lacks something; the message says what to install, or what to set instead."""


class StartError(LocalError):
    """A server did not start; the message has the end of its log and where the rest is."""
