"""The only road to a mailbox: rights, names, the gate and the views it hands out."""
