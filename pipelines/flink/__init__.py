"""A Flink cluster on this machine, and the encode job on it."""
