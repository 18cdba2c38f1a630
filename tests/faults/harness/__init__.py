"""The harness of the drills: traffic, faults, and an independent count of the results."""
