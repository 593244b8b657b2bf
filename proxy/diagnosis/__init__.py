"""The faults of a configuration or a machine: check, doctor, plugin check, live check."""
