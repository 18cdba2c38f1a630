"""`make run ONCE=1` as other users, in other places and environments: each must end with its tables or a sentence."""
