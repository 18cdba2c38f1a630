"""The commands `eye replay` and `eye redrive`, and their output."""
