"""Wake-ups. A hint says where to look, never what changed."""
