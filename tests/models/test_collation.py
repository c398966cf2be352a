"""Text of ours is compared byte by byte on PostgreSQL, so that a prefix is a range of a plain index."""

import pytest
from django.db import connection

QUESTION = """
    SELECT attrelid::regclass || '.' || attname, collname FROM pg_attribute
    JOIN pg_collation ON pg_collation.oid = attcollation
    WHERE attrelid::regclass::text LIKE 'sessions\\_app\\_%%' AND attnum > 0 AND NOT attisdropped
      AND atttypid IN ('text'::regtype, 'varchar'::regtype)
      AND attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r')
"""


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite compares byte by byte anyway")
def test_every_text_column_is_in_byte_order() -> None:
    with connection.cursor() as cursor:
        cursor.execute(QUESTION, [])
        collations = dict(cursor.fetchall())
    assert len(collations) > 50
    assert {column: name for column, name in collations.items() if name != "C"} == {}
