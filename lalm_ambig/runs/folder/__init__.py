"""A run's folder: the names of its files (`run_folder`), and what its numbers were made with (`environment`)."""
