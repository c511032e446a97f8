"""The command table: one module per family, each command declared once."""
