"""The callers of the requests that schemathesis generates, and checks in addition to its own."""

import itertools
import os
import re

import schemathesis
from schemathesis.core.parameters import ParameterLocation

TOKENS = {
    "credits:charge": os.environ["PIPELINE"],
    "credits:manage": os.environ["BILLING"],
    "admin": os.environ["ADMIN"],
}

# The fields with rules that a schema cannot state: names and the currency of the catalogue and what they permit, limits
# of the stack, cursors, and rules between two fields.
CHARGE = {"action", "outcome", "own_key"}
TOP_UP = {"auto_top_up.credits", "auto_top_up.monthly_limit"}
RULES = {
    "buyCredits": {"credits"},
    "changeSettings": TOP_UP,
    "closeAccount": {"confirm"},
    "createCharge": CHARGE,
    "estimateRun": {"actions"},
    "listHistory": {"action", "cursor", "to"},
    "listHolds": {"cursor"},
    "listPurchases": {"cursor"},
    "putSettings": TOP_UP,
    "putSubscription": {"plan", "included_credits", "started_at", "account_created_at"},
    "readUsage": {"query"},
    "receiveStripe": {"Stripe-Signature"},
    "recordPurchase": {"amount.currency"},
    "takeHold": {"actions", "credits"},
}

NUMBERS = itertools.count(43)


def id_of(case):
    return case.operation.definition.raw["operationId"]


@schemathesis.auth(refresh_interval=None)
class Caller:
    """A caller that the operation accepts: a machine client if possible, as its scopes hold for every team."""

    def get(self, case, context):
        callers = context.operation.definition.raw["x-callers"]
        return next((token for caller, token in TOKENS.items() if caller in callers), None)

    def set(self, case, token, context):
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Adapts a request to the rules of schemathesis and of the API."""
    # The key of the example names one request.
    if case.headers.get("Idempotency-Key") == "lead_42":
        case.headers["Idempotency-Key"] = f"lead_{next(NUMBERS)}"
    # A path may have these characters as they are. Schemathesis applies the pattern to the encoded path.
    if isinstance(account := case.path_parameters.get("account"), str):
        case.path_parameters["account"] = account.replace("%40", "@").replace("%3A", ":")
    # JSON Schema has no difference between 5 and 5.0. The API requires integers without a fraction.
    if case.meta and not case.meta.is_negative_at(ParameterLocation.BODY):
        case.body = without_fractions(case.body)


def without_fractions(value):
    if isinstance(value, dict):
        return {name: without_fractions(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_fractions(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@schemathesis.check
def names_a_rule(context, response, case):
    """A valid request is refused as invalid only by a rule that a schema cannot state."""
    if response.status_code == 400 and case.meta and case.meta.generation.mode.is_positive:
        fields = {re.sub(r"\[\d+\]", "", error["field"]) for error in response.json()["errors"]}
        assert fields <= RULES.get(id_of(case), set()), response.text


@schemathesis.check
def refuses_invalid_charges(context, response, case):
    """A batch answers each charge: an invalid one as refused, beside the others."""
    if response.status_code == 200 and id_of(case) == "createChargeBatch" and response.content:
        results = response.json()["results"]
        assert len(results) == len(case.body["charges"])
        if case.meta.is_negative_at(ParameterLocation.BODY):
            assert any(result["status"] == "refused" for result in results)
