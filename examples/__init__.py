"""Applications that use The Eye, to run and to copy from."""
