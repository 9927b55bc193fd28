"""Networks of other classes: which network an object is."""
