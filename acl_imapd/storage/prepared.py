"""Statements of the hot paths: built and compiled once, then given to the driver as they are.

SQLAlchemy's execution of a statement costs several times what SQLite takes to find a row by its key.  A
:class:`Prepared` compiles on first use for each kind of database and calls the driver in the transaction that the
connection has open.  What has a set of unknown size (``IN``) is none of its business.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, Connection, Executable
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]
_NOTHING: Values = {}


class Prepared:
    """A statement with named parameters, executed without detours.  Errors are SQLAlchemy's, as everywhere else."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def all(self, conn: Connection, values: Values = _NOTHING) -> list[Any]:
        """All rows, as named tuples."""
        compiled, cursor = self._execute(conn, values)
        return [compiled.row(row) for row in cursor.fetchall()]

    def first(self, conn: Connection, values: Values = _NOTHING) -> Any:
        """The first row as a named tuple; None where there is none."""
        compiled, cursor = self._execute(conn, values)
        row = cursor.fetchone()
        cursor.close()  # or a statement that is not at its end keeps SQLite from committing
        return None if row is None else compiled.row(row)

    def scalar(self, conn: Connection, values: Values = _NOTHING) -> Any:
        """The first column of the first row; None where there is none."""
        row = self.first(conn, values)
        return None if row is None else row[0]

    def scalars(self, conn: Connection, values: Values = _NOTHING) -> list[Any]:
        """The first column of all rows."""
        return [row[0] for row in self.all(conn, values)]

    def run(self, conn: Connection, values: Values = _NOTHING) -> int:
        """How many rows were changed."""
        return int(self._execute(conn, values)[1].rowcount)

    def many(self, conn: Connection, values: Sequence[Values]) -> None:
        """Execute it for each of *values*, which have the same names."""
        if not values:
            return
        compiled = self._for(conn, values[0])
        given = [compiled.parameters(one) for one in values]
        driver: Any = conn.connection.driver_connection
        try:
            driver.cursor().executemany(compiled.sql, given)
        except compiled.errors as error:
            raise compiled.wrapped(error, given[0], conn) from error

    def _for(self, conn: Connection, values: Values) -> _Compiled:
        compiled = self._compiled.get(conn.dialect.name)
        if compiled is None:
            compiled = self._compiled[conn.dialect.name] = _Compiled(self._statement, conn.dialect, values)
        return compiled

    def _execute(self, conn: Connection, values: Values) -> tuple[_Compiled, Any]:
        compiled = self._for(conn, values)
        driver: Any = conn.connection.driver_connection
        given = compiled.parameters(values)
        try:
            return compiled, driver.execute(compiled.sql, given)
        except compiled.errors as error:
            raise compiled.wrapped(error, given, conn) from error


class _Compiled:
    """A statement as one driver takes it."""

    def __init__(self, statement: Any, dialect: Any, values: Values) -> None:
        # An INSERT has just the columns that are given the first time, and each time.
        compiled = statement.compile(dialect=dialect, column_keys=list(values) if statement.is_insert else None)
        if getattr(compiled, "insert_prefetch", None) or getattr(compiled, "update_prefetch", None):
            raise TypeError(f"a default is made in Python: give the value to {compiled}")
        self.sql = str(compiled)
        self.errors: type[Exception] = dialect.dbapi.Error
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self._names = tuple(compiled.positiontup) if compiled.positional else None
        columns: list[tuple[str, Any]] = []
        if statement.is_select:
            columns = [(str(getattr(column, "key", "_")), column.type) for column in statement.selected_columns]
        elif statement.is_dml:
            columns = [(column["name"], column["type"]) for column in statement.returning_column_descriptions]
        # Drivers give and take Python's values, but for SQLite, which has no truth values.
        self._flags = () if dialect.supports_native_boolean else _booleans(columns)
        names = [name for name, _ in columns]
        named: Any = namedtuple
        self._make: Callable[[Any], Any] = named("Row", names, rename=True)._make if names else tuple

    def wrapped(self, error: Exception, given: Any, conn: Connection) -> BaseException:
        """The driver's error as SQLAlchemy's of that kind."""
        return DBAPIError.instance(self.sql, given, error, self.errors, dialect=conn.dialect)

    def parameters(self, values: Values) -> Any:
        """*values* as the driver wants them."""
        if self._fixed:
            values = {**self._fixed, **values}
        return values if self._names is None else [values[name] for name in self._names]

    def row(self, row: Any) -> Any:
        """A row of the driver, as a named tuple of what the columns' types say."""
        if self._flags:
            row = list(row)
            for place in self._flags:
                row[place] = None if row[place] is None else bool(row[place])
        return self._make(row)


def _booleans(columns: Sequence[tuple[str, Any]]) -> tuple[int, ...]:
    return tuple(place for place, (_, kind) in enumerate(columns) if isinstance(kind, Boolean))
