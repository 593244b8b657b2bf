"""What is wrong with a configuration or a machine: check, doctor, plugin check, live check."""
