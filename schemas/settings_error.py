"""The error of a setting."""


class SettingsError(Exception):
    """A setting that is missing or cannot be used; the message says which one and what to do."""
