"""Runs the migrations on the connection that acl_imapd.storage.migrate hands over."""

from acl_imapd.storage.schema import metadata
from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
