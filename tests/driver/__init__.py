"""The driver of `./check`: parts as values, each with its own needs, and the order in which they run."""
