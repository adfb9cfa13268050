"""The page's filters, sorting, search and progress, answered from Argilla's own database, with the requests of the page and the SDK."""

import pytest

from axolotl_synthetic import reviewing

from finished import finish, sample


@pytest.fixture(scope="module")
def reviewed(argilla, tmp_path_factory):
    """Return six records: 0 to 3 accepted, 4 and 5 rejected; agreement 0.0 to 0.4 for the first five.

    Ann has submitted 0 (quality 4) and 1 (quality 2), discarded 2 and drafted 3.
    """
    name = "search"
    rows = [
        sample(
            number,
            wrong=number > 3,
            checks=[{"name": "self_consistency", "passed": True, "detail": "", "data": {"agree": number, "of": 10}}] if number < 5 else [],
        )
        for number in range(6)
    ]
    review = {"api_url": argilla.url, "dataset": name, "select": {"policy": "all"}}
    reviewing.push(finish(tmp_path_factory.mktemp("search"), rows, review=review))
    ann, records = argilla.person("ann"), argilla.records(name)
    ids = [records[f"answer_augmentation-{number}"] for number in range(6)]
    ann.answer(ids[:1], verdict="accept", quality=4)
    ann.answer(ids[1:2], verdict="reject", quality=2)
    ann.answer(ids[2:3], status="discarded")
    ann.answer(ids[3:4], status="draft", verdict="accept")
    return argilla, argilla.dataset(name), ann


def found(reviewed, *, mine=True, sort=None, text=None, field=None, **filters):
    """Return the numbers of the records that a search gives, in its order."""
    argilla, dataset, ann = reviewed
    body = {}
    if filters:
        body["filters"] = {"type": "and", "and": list(filters.values())}
    if sort:
        body["sort"] = [{"scope": sort[0], "order": sort[1]}]
    if text:
        body["query"] = {"text": {"q": text, "field": field}}
    path = f"{'/me' if mine else ''}/datasets/{dataset}/records/search"
    result = argilla.call("POST", path, key=ann.key if mine else None, json=body)
    numbers = [int(item["record"]["external_id"].rpartition("-")[2]) for item in result["items"]]
    assert result["total"] == len(numbers)
    return numbers


def terms(scope, *values):
    return {"type": "terms", "scope": scope, "values": list(values)}


def within(scope, ge=None, le=None):
    return {"type": "range", "scope": scope, "ge": ge, "le": le}


def metadata(name):
    return {"entity": "metadata", "metadata_property": name}


STATUS = {"entity": "response", "property": "status"}


@pytest.mark.parametrize(
    ("statuses", "numbers"),
    [
        (["pending"], [4, 5]),
        (["submitted"], [0, 1]),
        (["discarded"], [2]),
        (["draft"], [3]),
        (["pending", "draft"], [3, 4, 5]),
    ],
)
def test_the_pages_queues(reviewed, statuses, numbers):
    assert sorted(found(reviewed, status=terms(STATUS, *statuses))) == numbers


def test_somebody_elses_answers_are_not_mine(reviewed):
    argilla, dataset, _ = reviewed
    bea = argilla.person("bea")
    assert sorted(found((argilla, dataset, bea), status=terms(STATUS, "pending"))) == [0, 1, 2, 3, 4, 5]
    assert found((argilla, dataset, bea), status=terms(STATUS, "submitted")) == []


def test_filters_by_metadata(reviewed):
    assert sorted(found(reviewed, status=terms(metadata("status"), "rejected"))) == [4, 5]
    assert sorted(found(reviewed, agreement=within(metadata("agreement"), 0.1, 0.3))) == [1, 2, 3]
    assert found(reviewed, agreement=within(metadata("agreement"), 0.1), status=terms(metadata("status"), "rejected")) == [4]


def test_filters_by_suggestion_and_by_answer(reviewed):
    suggested = {"entity": "suggestion", "question": "verdict", "property": "value"}
    assert sorted(found(reviewed, verdict=terms(suggested, "reject"))) == [4, 5]
    agent = {"entity": "suggestion", "question": "verdict", "property": "agent"}
    assert sorted(found(reviewed, agent=terms(agent, "the check final_answer"))) == [4, 5]
    answered = {"entity": "response", "question": "verdict"}
    assert found(reviewed, verdict=terms(answered, "reject")) == [1]
    quality = {"entity": "response", "question": "quality"}
    assert found(reviewed, quality=terms(quality, "4")) == [0]
    assert found(reviewed, quality=within(quality, 1, 3)) == [1]


def test_a_record_is_completed_by_its_answers(reviewed):
    status = {"entity": "record", "property": "status"}
    assert sorted(found(reviewed, mine=False, status=terms(status, "completed"))) == [0, 1]


def test_sorting_puts_what_has_no_value_last_both_ways(reviewed):
    assert found(reviewed, sort=(metadata("agreement"), "asc")) == [0, 1, 2, 3, 4, 5]
    assert found(reviewed, sort=(metadata("agreement"), "desc")) == [4, 3, 2, 1, 0, 5]
    quality = {"entity": "response", "question": "quality"}
    assert found(reviewed, sort=(quality, "asc"))[:2] == [1, 0]
    inserted = {"entity": "record", "property": "inserted_at"}
    assert found(reviewed, sort=(inserted, "desc")) == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("text", "field", "numbers"),
    [
        ("sheet 3", "answer", [3]),
        ("SHEET", None, [0, 1, 2, 3, 4, 5]),
        ("sheet", "question", []),
        ('"sheet 3"', "answer", [3]),
        ("100% _", None, []),
    ],
)
def test_text_is_searched_in_one_field_or_in_all(reviewed, text, field, numbers):
    assert sorted(found(reviewed, text=text, field=field)) == numbers


def test_several_people_get_an_order_each_and_each_the_same_one_again(reviewed):
    argilla, dataset, ann = reviewed
    orders = [found((argilla, dataset, person)) for person in (ann, argilla.person("bea"), argilla.person("cem"), ann)]
    assert orders[0] == orders[3]
    assert len({tuple(order) for order in orders}) > 1


def test_progress_of_all_and_of_one(reviewed):
    argilla, dataset, ann = reviewed
    assert {name: argilla.call("GET", f"/datasets/{dataset}/progress")[name] for name in ("total", "completed", "pending")} == {
        **{"total": 6, "completed": 2, "pending": 4},
    }
    mine = argilla.call("GET", f"/me/datasets/{dataset}/metrics", key=ann.key)["responses"]
    assert mine == {"total": 6, "submitted": 2, "discarded": 1, "draft": 1, "pending": 2}


def test_the_values_that_a_filter_offers(reviewed):
    argilla, dataset, ann = reviewed
    properties = {one["name"]: one["id"] for one in argilla.call("GET", f"/me/datasets/{dataset}/metadata-properties")["items"]}

    def metrics(name):
        return argilla.call("GET", f"/metadata-properties/{properties[name]}/metrics", key=ann.key)

    assert metrics("status") == {
        "type": "terms",
        "total": 6,
        "values": [{"term": "accepted", "count": 4}, {"term": "rejected", "count": 2}],
    }
    agreement = metrics("agreement")
    assert (agreement["min"], agreement["max"]) == (0.0, 0.4)


def test_the_real_sdk_filters_too(reviewed):
    import argilla as rg

    argilla, _, _ = reviewed
    dataset = rg.Argilla(api_url=argilla.url, api_key=argilla.key).datasets("search", workspace="synthetic")
    query = rg.Query(filter=rg.Filter([("metadata.status", "==", "rejected"), ("metadata.agreement", ">=", 0.1)]))
    assert [record.id for record in dataset.records(query)] == ["answer_augmentation-4"]
