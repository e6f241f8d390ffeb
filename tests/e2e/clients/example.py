"""Charges, replays, holds, and reads the history by the client that openapi-python-client generates."""

import os

from credits_client import AuthenticatedClient
from credits_client.api.balance import list_history, read_balance
from credits_client.api.catalogue import list_prices
from credits_client.api.charges import create_charge
from credits_client.api.holds import release_hold, take_hold
from credits_client.models import ChargeRequest, HoldForWork, HoldOfCredits, InsufficientCreditsProblem

client = AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["MEMBER"])
team = "demo"


def charge(key, **fields):
    return create_charge.sync_detailed(team, client=client, idempotency_key=key, body=ChargeRequest(**fields))


# The price of an action.
prices = list_prices.sync(client=client).prices
price = next(row.credits_ for row in prices if row.action == "email_finder")

# A charge. The same request with the same key is a replay and costs nothing.
lead = {"action": "email_finder", "outcome": "deliverable", "reference": "lead_42"}
charged = charge("python_lead", **lead)
assert charged.status_code == 201
assert charged.parsed.charge.credits_ == price
replayed = charge("python_lead", **lead)
assert replayed.headers["Idempotent-Replayed"] == "true"
assert replayed.parsed.charge == charged.parsed.charge

# A refusal is a problem document.
refused = take_hold.sync(team, client=client, idempotency_key="python_large", body=HoldOfCredits(1_000_000_000))
assert isinstance(refused, InsufficientCreditsProblem)
assert refused.shortfall > 0

# A hold, a capture from it, and the release of the rest.
work = HoldForWork(actions=["email_finder"], leads=4)
hold = take_hold.sync(team, client=client, idempotency_key="python_job", body=work).hold
assert hold.remaining == 4 * price
captured = charge("python_capture", action="email_finder", outcome="risky", hold=hold.id)
assert captured.parsed.charge.hold == hold.id
released = release_hold.sync(team, hold.id, client=client, idempotency_key="python_release").hold
assert (released.status, released.captured) == ("released", price)

# The whole history, page by page.
entries = []
more = {}
while True:
    page = list_history.sync(team, client=client, limit=2, **more)
    entries += page.entries
    if page.cursor is None:
        break
    more = {"cursor": page.cursor}
balance = read_balance.sync(team, client=client).credits_
total = sum(entry.credits_ for entry in entries)
assert total == balance.total + balance.held
print(f"Python: {len(entries)} entries, {total} credits")
