"""What is decided: pure functions and values, without I/O, threads, clock or randomness."""
