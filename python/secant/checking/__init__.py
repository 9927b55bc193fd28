"""Whether a gradient is right: a whole one in a hundred evaluations of f."""
