"""The catalogue as documents for others, and what a change of it breaks; pure, no IO."""
