"""Numerical differentiation of any function, and gradient descent with it."""
