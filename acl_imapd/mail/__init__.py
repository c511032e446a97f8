"""Messages as bytes: found their way around in, never changed.  Pure."""
