"""Starts localstripe on a free port of 127.0.0.1, and prints its URL.

By itself it listens on all interfaces, writes its objects to a file, and refuses what it does not know. These
parameters and this route of Stripe's API are added.
"""

import socket

from aiohttp import web
from localstripe import resources
from localstripe.resources import PaymentMethod

IGNORED = {
    '/v1/payment_intents/{id}/confirm': ('return_url', 'off_session'),
    '/v1/payment_intents/{id}/cancel': ('cancellation_reason',),
}


def tolerant(call, ignored):
    def tolerating(**fields):
        for name in ignored:
            fields.pop(name, None)
        return call(**fields)

    return tolerating


def cards_of_customer(id, type=None, limit=None):
    return PaymentMethod._api_list_all(
        f'/v1/customers/{id}/payment_methods', customer=id, type=type, limit=limit
    )


resources.Store.dump_to_disk = lambda _: None
resources.extra_apis[:] = [
    (method, path, tolerant(call, IGNORED.get(path, ())))
    for method, path, call in resources.extra_apis
]
resources.extra_apis.append(
    ('GET', '/v1/customers/{id}/payment_methods', cards_of_customer)
)

# The server reads the routes when it is imported.
from localstripe.server import app  # noqa: E402

listener = socket.socket()
listener.bind(('127.0.0.1', 0))
print(f'http://127.0.0.1:{listener.getsockname()[1]}', flush=True)
web.run_app(app, sock=listener, print=None, access_log=None)
