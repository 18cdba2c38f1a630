"""Measurements, each beside its reference from the same run; figures without a reference mean nothing here."""
