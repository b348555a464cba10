"""Pages of applications, and of files of them."""
