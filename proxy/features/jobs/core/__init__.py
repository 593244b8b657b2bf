"""What all jobs have: their rows, steps, files and ends. It knows no kind of them."""
