"""How many trials the rounds of a study may have, for whoever looks at how far it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision; of studies that are there already, it is what their events say."""
    op.add_column("studies", sa.Column("planned", sa.Integer(), nullable=False, server_default="0"))
    studies = sa.table("studies", sa.column("id", sa.String), sa.column("planned", sa.Integer))
    events = sa.table(
        "events", sa.column("study_id", sa.String), sa.column("type", sa.String), sa.column("content", sa.JSON)
    )
    planned: dict[str, int] = {}
    begun = sa.select(events.c.study_id, events.c.content).where(events.c.type == "round_started")
    for study_id, content in op.get_bind().execute(begun):
        planned[study_id] = planned.get(study_id, 0) + int(content.get("max_trials", 0))
    for study_id, number in planned.items():
        op.execute(sa.update(studies).where(studies.c.id == study_id).values(planned=number))


def downgrade() -> None:
    """Back to the one before."""
    op.drop_column("studies", "planned")
