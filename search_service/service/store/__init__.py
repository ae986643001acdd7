"""What the service remembers, in SQL: SQLite beside the studies, or PostgreSQL.

Every method is one transaction. Two replicas of a service may share a database: what must happen once is decided by
the database (unique keys, a lease), never by a process.
"""

from search_service.service.store.attempts import Attempts
from search_service.service.store.database import make_engine, now
from search_service.service.store.datasets import Datasets
from search_service.service.store.errors import ConflictError, NotFoundError, NotYoursError, QuotaError
from search_service.service.store.event_intake import EventIntake
from search_service.service.store.leases import Leases
from search_service.service.store.studies import NewStudy, Sort, Studies
from search_service.service.store.tokens import Role, Tokens

__all__ = [
    "ConflictError",
    "NewStudy",
    "NotFoundError",
    "NotYoursError",
    "QuotaError",
    "Role",
    "Sort",
    "Store",
    "make_engine",
    "now",
]


class Store(Studies, Attempts, EventIntake, Datasets, Tokens, Leases):
    """The database, with everything that is asked of it.

    Args:
        url: SQLAlchemy URL. Its tables exist: see ``migrations.upgrade``.
    """
