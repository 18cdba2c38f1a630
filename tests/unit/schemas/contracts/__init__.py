"""Tests of the catalogue as documents, and of what its changes break."""
