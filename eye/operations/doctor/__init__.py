"""Checks of a deployment for `eye doctor`: each finding with what was seen and its remedy."""
