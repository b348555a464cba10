"""A kind of task for the tests, known to the test process and to the real worker processes it starts."""
