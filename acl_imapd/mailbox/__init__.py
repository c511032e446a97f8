"""What the sessions of one process share in memory about open mailboxes."""
