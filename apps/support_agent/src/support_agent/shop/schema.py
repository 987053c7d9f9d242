"""The version of a database's tables: found, and brought to the newest this program knows."""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from support_agent.shop.errors import DatabaseTooNew

BEFORE_VERSIONS = "0001"
"""What a database with tables and without a version is: the first ones were made so."""


def bring_up_to_date(connection: Connection) -> None:
    """Walk the versions from the database's own to the newest. Walking again changes nothing.

    Atomic with: the transaction of `connection`, on SQLite and on PostgreSQL.
    Raises: DatabaseTooNew when a newer program has written it; nothing is changed then.
    """
    config = Config()
    config.set_main_option("script_location", "support_agent.shop:migrations")
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    version = MigrationContext.configure(connection).get_current_revision()
    if version == newest:
        return
    if version is None and inspect(connection).has_table("cases"):
        command.stamp(config, BEFORE_VERSIONS)
    elif version is not None and version not in {one.revision for one in scripts.walk_revisions()}:
        raise DatabaseTooNew(version, str(newest))
    command.upgrade(config, "head")
