"""SQLAlchemy Core, synchronous: functions on a Connection, which never commit (see database.py)."""
