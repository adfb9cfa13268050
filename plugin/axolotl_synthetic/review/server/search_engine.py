"""A search engine for Argilla 2.8 that queries Argilla's own SQLite database, for a server without Elasticsearch.

Argilla stores everything in its database and a copy in a search engine, which answers the page's requests: next records, filters, sorting,
progress. Here there is no copy: the methods that update it do nothing, and the others run SQL. Argilla makes an engine for each request, so
it has no state.

Filters and sorting share one idea: `_values` returns a subquery for a scope's values in one record, such as all answers to a question or a
metadata property. A record passes a filter if any of these values does, and is sorted by the smallest.

Ranking by relevance and vector search need a server with Elasticsearch.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from argilla_server.database import AsyncSessionLocal
from argilla_server.enums import MetadataPropertyType, ResponseStatusFilter, SortOrder
from argilla_server.errors.future import UnprocessableEntityError
from argilla_server.models import Dataset, MetadataProperty, Question, Record, Response, Suggestion, User
from argilla_server.search_engine import (
    AndFilter,
    Filter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataFilterScope,
    MetadataMetrics,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    SuggestionFilterScope,
    TermsMetrics,
    TextQuery,
)
from sqlalchemy import String, and_, cast, func, not_, or_, select, text, true

NAME = "database"


@SearchEngine.register(NAME)
class DatabaseSearchEngine(SearchEngine):  # type: ignore[misc]  # of the other environment, unknown to the type checker
    """See `argilla_server.search_engine.SearchEngine` for the purpose of each method."""

    @classmethod
    async def new_instance(cls) -> DatabaseSearchEngine:
        return cls()

    async def close(self) -> None:
        pass

    async def ping(self) -> bool:
        return True

    async def info(self) -> dict[str, Any]:
        async with AsyncSessionLocal() as db:
            return {"name": NAME, "sqlite": await db.scalar(text("SELECT sqlite_version()"))}

    # Methods that update the copy; there is none.

    async def create_index(self, dataset: Dataset) -> None:
        pass

    async def delete_index(self, dataset: Dataset) -> None:
        pass

    async def configure_metadata_property(self, dataset: Dataset, metadata_property: MetadataProperty) -> None:
        pass

    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        pass

    async def partial_record_update(self, record: Record, **update: Any) -> None:
        pass

    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        pass

    async def update_record_response(self, response: Response) -> None:
        pass

    async def delete_record_response(self, response: Response) -> None:
        pass

    async def update_record_suggestion(self, suggestion: Suggestion) -> None:
        pass

    async def delete_record_suggestion(self, suggestion: Suggestion) -> None:
        pass

    # Queries.

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        query = select(Record.status, func.count()).where(Record.dataset_id == dataset.id).group_by(Record.status)
        return await _counts(query)

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        query = select(Response.status, func.count()).join(Record, Record.id == Response.record_id)
        return await _counts(query.where(Record.dataset_id == dataset.id, Response.user_id == user.id).group_by(Response.status))

    async def search(
        self,
        dataset: Dataset,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        sort: list[Order] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: Any = None,
    ) -> SearchResponses:
        found = select(Record.id).where(Record.dataset_id == dataset.id)
        if query is not None:
            found = found.where(_contains(query))
        if filter is not None:
            found = found.where(_passes(filter))
        async with AsyncSessionLocal() as db:
            total = await db.scalar(select(func.count()).select_from(found.subquery()))
            order = [_sorted(one) for one in sort or []] or await _own_order(db, user_id)
            rows = await db.scalars(found.order_by(*order, Record.inserted_at, Record.id).offset(offset).limit(limit))
            return SearchResponses(items=[SearchResponseItem(record_id=row, score=1.0) for row in rows], total=total or 0)

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        value = _each(Record.metadata_, f'$."{metadata_property.name}"')
        mine = Record.dataset_id == metadata_property.dataset_id
        async with AsyncSessionLocal() as db:
            if metadata_property.type == MetadataPropertyType.terms:
                query = select(value.c.value, func.count()).select_from(Record).join(value, true()).where(mine)
                rows = (await db.execute(query.group_by(value.c.value).order_by(func.count().desc()))).all()
                values = [TermsMetrics.TermCount(term=str(term), count=count) for term, count in rows]
                return TermsMetrics(total=sum(one.count for one in values), values=values)
            query = select(func.min(value.c.value), func.max(value.c.value)).select_from(Record).join(value, true()).where(mine)
            least, most = (await db.execute(query)).one()
        integer = metadata_property.type == MetadataPropertyType.integer
        return (IntegerMetadataMetrics if integer else FloatMetadataMetrics)(min=least, max=most)

    async def similarity_search(self, *args: Any, **options: Any) -> SearchResponses:
        raise UnprocessableEntityError("search by vectors needs an Argilla server with Elasticsearch or OpenSearch")


async def _counts(query: Any) -> dict[str, int]:
    async with AsyncSessionLocal() as db:
        counts = {status.value: count for status, count in (await db.execute(query)).all()}
    return {"total": sum(counts.values()), **counts}


async def _own_order(db: Any, user_id: Any) -> list[Any]:
    """Return the default order: as pushed, the most uncertain first, if there is only one person.

    Several people get an order each, as from Elasticsearch, so that they do not answer the same records at the same time.
    """
    if user_id is None or await db.scalar(select(func.count()).select_from(User)) < 2:
        return []
    # A record's id is 32 random hexadecimal digits, so comparing from another digit on gives another order.
    return [func.substr(cast(Record.id, String), 1 + int(str(user_id).replace("-", ""), 16) % 20)]


def _each(column: Any, path: str = "$") -> Any:
    """Return the scalar at `path` of a JSON column as a row, or a row for each item of a list there."""
    return func.json_each(column, path).table_valued("value")


def _values(scope: Any) -> tuple[Any, Any]:
    """Return a subquery for a scope's values in one record, and its column."""
    if isinstance(scope, MetadataFilterScope):
        value = _each(Record.metadata_, f'$."{scope.metadata_property}"')
        return select(value.c.value).select_from(value), value.c.value
    if isinstance(scope, SuggestionFilterScope):
        wanted = and_(Suggestion.record_id == Record.id, Question.name == scope.question)
        made = select(Suggestion.id).join(Question, Question.id == Suggestion.question_id)
        column = getattr(Suggestion, scope.property or "value")
        if scope.property in ("agent", "type"):
            return made.with_only_columns(column).where(wanted).correlate(Record), column
        value = _each(column)
        return made.join(value, true()).with_only_columns(value.c.value).where(wanted).correlate(Record), value.c.value
    if isinstance(scope, ResponseFilterScope):
        wanted = Response.record_id == Record.id
        if scope.user is not None:
            wanted = and_(wanted, Response.user_id == scope.user.id)
        if scope.question is None:
            return select(Response.status).where(wanted).correlate(Record), Response.status
        value = _each(Response.values, f'$."{scope.question}"."value"')
        return select(value.c.value).select_from(Response).join(value, true()).where(wanted).correlate(Record), value.c.value
    raise UnprocessableEntityError(f"cannot filter or sort by {scope}")


def _passes(filter: Filter) -> Any:
    if isinstance(filter, AndFilter):
        return and_(true(), *(_passes(one) for one in filter.filters))
    scope = filter.scope
    if isinstance(scope, RecordFilterScope):
        return _within(filter, getattr(Record, scope.property))
    subquery, column = _values(scope)
    if isinstance(scope, ResponseFilterScope) and scope.question is None and ResponseStatusFilter.pending in filter.values:
        # `pending` means that there is no response.
        others = [value for value in filter.values if value != ResponseStatusFilter.pending]
        return or_(not_(subquery.exists()), subquery.where(column.in_(others)).exists())
    return subquery.where(_within(filter, column)).exists()


def _within(filter: Filter, column: Any) -> Any:
    if isinstance(filter, RangeFilter):
        bounds = [column >= filter.ge] if filter.ge is not None else []
        return and_(true(), *bounds, *([column <= filter.le] if filter.le is not None else []))
    # Terms are always sent as texts: a rating of 4 is requested as "4".
    numbers = [float(value) for value in filter.values if value.lstrip("-").replace(".", "", 1).isdigit()]
    return or_(column.in_(filter.values), column.in_(numbers)) if numbers else column.in_(filter.values)


def _sorted(order: Order) -> Any:
    scope = order.scope
    column = getattr(Record, scope.property) if isinstance(scope, RecordFilterScope) else _least(scope)
    return column.desc().nulls_last() if order.order == SortOrder.desc else column.asc().nulls_last()


def _least(scope: Any) -> Any:
    subquery, column = _values(scope)
    return subquery.with_only_columns(func.min(column)).scalar_subquery()


def _contains(query: TextQuery | str) -> Any:
    """Return the condition that every word occurs in the record's texts, or in those of one field."""
    asked = query if isinstance(query, TextQuery) else TextQuery(q=query)
    words = [word.strip('"') for word in asked.q.split() if word.strip('"')]
    value = _each(Record.fields, f'$."{asked.field}"' if asked.field else "$")
    return and_(
        true(), *(select(value.c.value).select_from(value).where(value.c.value.icontains(word, autoescape=True)).exists() for word in words)
    )
