"""The tables of the first release, the one row of site, and the roles that are there from the start."""

from acl_imapd.storage.rights import BUILTIN_ROLES
from acl_imapd.storage.schema import metadata, role, site
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    op.bulk_insert(site, [{"id": 1, "acl_epoch": 1, "tree_epoch": 1, "identity_epoch": 1, "last_uidvalidity": 0}])
    op.bulk_insert(role, [{"name": one.name, "rights": one.rights} for one in BUILTIN_ROLES])
