"""Who somebody is: SASL, passwords, and patience with those who guess."""
