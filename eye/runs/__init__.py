"""The record of a replay or redrive, and what both share: selection, plan, throttle, targets."""
