"""What Alembic runs: the versions, on the connection that `support_agent.shop.schema` hands in."""

from alembic import context

from support_agent.shop.records import Record

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Record.metadata,
    render_as_batch=True,  # SQLite alters most things by making the table anew
)
with context.begin_transaction():
    context.run_migrations()
