"""The command line interface: arguments, terminal output and confirmation."""
