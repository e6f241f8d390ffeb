# Requests for a second shell. They use the exports that cargo run prints.

# A charge of {credits} credits. The same request with the same key is a replay and costs nothing.
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: lead_7' -d '{"action":"{action}","outcome":"{outcome}"}'
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: lead_7' -d '{"action":"{action}","outcome":"{outcome}"}'

# A charge that the balance does not cover. The answer is 402 and nothing is charged.
curl -iw '\n' $URL/teams/demo/charges -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: lead_8' -d '{"action":"{action}","outcome":"{outcome}","quantity":100000}'

# A purchase by a member is refused with 403. An admin can buy.
curl -iw '\n' $URL/teams/demo/purchases -H "authorization: Bearer $MEMBER" -H 'content-type: application/json' -H 'idempotency-key: order_7' -d '{"credits":{larger}}'
curl -iw '\n' $URL/teams/demo/purchases -H "authorization: Bearer $ADMIN" -H 'content-type: application/json' -H 'idempotency-key: order_7' -d '{"credits":{larger}}'

# The history of the team.
curl -iw '\n' $URL/teams/demo/history -H "authorization: Bearer $MEMBER"

# The next month. The free credits are reset, the purchased credits stay.
NEXT=$(curl -s $URL/teams/demo/credits -H "authorization: Bearer $MEMBER" | sed 's/.*"next_refill":"\([^"]*\)".*/\1/')
curl -iw '\n' -X PUT $URL/dev/clock -H 'content-type: application/json' -d "{\"now\":\"${NEXT}T00:00:00Z\"}"
curl -iw '\n' -X POST $URL/dev/schedule
curl -iw '\n' $URL/teams/demo/credits -H "authorization: Bearer $MEMBER"

# A request for each route is in shared/docs/REQUESTS.md.
