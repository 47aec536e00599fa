"""What the package is timed against: the same model, written as its users would elsewhere."""
