"""Running the system: the doctor, retention and storage."""
